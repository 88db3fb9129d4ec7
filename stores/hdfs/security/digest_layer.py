"""What DIGEST-MD5 does to messages after the login: integrity, or privacy (RFC 2831 sections 2.3 and 2.4).

A wrapped message is: message | 10 bytes of HMAC-MD5 over its number and itself | version 1, 2 bytes | number, 4 bytes.
With privacy the message, its padding and the HMAC are encrypted. PURE but for the cipher, which computes only.
"""

from __future__ import annotations

import hmac
from hashlib import md5

from stores.hdfs.security.digest_md5 import Keys
from stores.hdfs.security.sasl import SaslError
from stores.hdfs.security.seal import Cipher

MAC_BYTES = 10
TRAILER_BYTES = 6
NUMBER_BYTES = 4
_VERSION = b"\x00\x01"


class DigestLayer:
    """Both directions of a session. Wrapping and unwrapping may be two threads, but one each."""

    def __init__(self, keys: Keys, sealer: Cipher | None = None, unsealer: Cipher | None = None) -> None:
        """Without ciphers: integrity."""
        self._signer, self._verifier = Signer(keys.sign), Signer(keys.verify)
        self._sealer, self._unsealer = sealer, unsealer
        self._sent = self._received = 0

    def wrap(self, message: bytes) -> bytes:
        """Returns a message as it goes over the wire."""
        number = self._sent.to_bytes(NUMBER_BYTES, "big")
        self._sent = (self._sent + 1) % (1 << 32)
        mac = self._signer.sign(number + message)
        if self._sealer is None:
            return message + mac + _VERSION + number
        body = bytearray(message + _padding(len(message), self._sealer.block_bytes) + mac)
        self._sealer.crypt(memoryview(body))
        return bytes(body) + _VERSION + number

    def unwrap(self, wrapped: bytes | bytearray) -> bytes:
        """Returns the message of what came. Raises SaslError."""
        return bytes(self.unwrap_in_place(memoryview(bytearray(NUMBER_BYTES) + wrapped)))

    def unwrap_in_place(self, framed: memoryview) -> memoryview:
        """Returns the message inside `framed`, without a copy. Raises SaslError when it is not genuine.

        Args:
            framed: 4 bytes that nobody needs any more (the length, as a rule), then the wrapped message. Overwritten.
        """
        end = len(framed) - TRAILER_BYTES
        number = self._received.to_bytes(NUMBER_BYTES, "big")
        if end < NUMBER_BYTES + MAC_BYTES or framed[end:] != _VERSION + number:
            raise SaslError("a protected message is too short, or not the next one")
        self._received = (self._received + 1) % (1 << 32)
        if self._unsealer is not None:
            if (end - NUMBER_BYTES) % self._unsealer.block_bytes:
                raise SaslError("a protected message is no multiple of the cipher's blocks")
            self._unsealer.crypt(framed[NUMBER_BYTES:end])
        message_end = end - MAC_BYTES - self._padding_bytes(framed, end - MAC_BYTES)
        framed[:NUMBER_BYTES] = number
        if not hmac.compare_digest(self._verifier.sign(framed[:message_end]), framed[end - MAC_BYTES : end]):
            raise SaslError("a protected message does not match its proof: it was changed on the way")
        return framed[NUMBER_BYTES:message_end]

    def _padding_bytes(self, framed: memoryview, end: int) -> int:
        block_bytes = self._unsealer.block_bytes if self._unsealer is not None else 1
        if block_bytes == 1:
            return 0
        return min(framed[end - 1], block_bytes, end - NUMBER_BYTES) if end > NUMBER_BYTES else 0


class Signer:
    """HMAC-MD5 with one key, cut to 10 bytes. Keeps the states after the key: 0.4 us less for each message."""

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = md5(bytes(byte ^ 0x36 for byte in block), usedforsecurity=False)
        self._outer = md5(bytes(byte ^ 0x5C for byte in block), usedforsecurity=False)

    def sign(self, data: bytes | memoryview) -> bytes:
        """Returns the first 10 bytes of the HMAC."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()[:MAC_BYTES]


def _padding(message_bytes: int, block_bytes: int) -> bytes:
    """Returns what fills message and HMAC up to whole blocks: 1 to 8 bytes that each say how many they are."""
    if block_bytes == 1:
        return b""
    count = block_bytes - (message_bytes + MAC_BYTES) % block_bytes
    return bytes((count,)) * count
