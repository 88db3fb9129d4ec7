"""Encryption zones: keys from the KMS, ciphertext decrypted."""
