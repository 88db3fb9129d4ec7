"""Logins and ciphers: Kerberos, SASL, tokens."""
