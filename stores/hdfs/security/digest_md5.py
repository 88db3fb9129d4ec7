"""DIGEST-MD5 from the client's side (RFC 2831), as Hadoop uses it with tokens: user and password are theirs. PURE.

The nonce of the client is an argument. What follows the login is `digest_layer`.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import md5

from stores.hdfs.security.sasl import QOP, SaslError
from stores.location import Protection

# What a receiver is ready to take in one wrapped message; Java's default, which it does not hold itself to.
MAX_BUFFER_BYTES = 65536
_PAIR = re.compile(rb'\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]*))\s*(?:,|$)')
_TO_SERVER = b"Digest session key to client-to-server signing key magic constant"
_TO_CLIENT = b"Digest session key to server-to-client signing key magic constant"
_SEAL_TO_SERVER = b"Digest H(A1) to client-to-server sealing key magic constant"
_SEAL_TO_CLIENT = b"Digest H(A1) to server-to-client sealing key magic constant"


@dataclass(frozen=True, slots=True)
class Account:
    """Who proves what to whom: `uri` is `protocol/server`, e.g. `hdfs/0` for DataNodes."""

    user: bytes = field(repr=False)
    password: bytes = field(repr=False)
    uri: bytes


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the server offers. `ciphers` are names such as `rc4` and `3des`, for privacy only."""

    realm: bytes
    nonce: bytes
    offered: tuple[Protection, ...]
    ciphers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of a session: signing (integrity) and sealing (privacy), ours and the server's. 16 bytes each."""

    sign: bytes = field(repr=False)
    verify: bytes = field(repr=False)
    seal: bytes = field(repr=False)
    unseal: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """Our answer to a challenge, what the server must say to it, and the keys that both have then."""

    message: bytes
    server_proof: bytes = field(repr=False)
    keys: Keys = field(repr=False)


def parse_challenge(challenge: bytes) -> Challenge:
    """Returns what a server offers. Raises SaslError."""
    said = _pairs(challenge)
    if not said.get("nonce") or said.get("algorithm", b"md5-sess") != b"md5-sess":
        raise SaslError("a challenge of DIGEST-MD5 without a nonce or with another algorithm")
    qops = _words(said.get("qop", b"auth"))
    offered = tuple(protection for protection, qop in QOP.items() if qop in qops)
    return Challenge(said.get("realm", b""), said["nonce"], offered, _words(said.get("cipher", b"")))


def respond(
    account: Account, challenge: Challenge, protection: Protection, client_nonce: bytes, cipher: str
) -> Response:
    """Returns the answer that chooses `protection`; `cipher` is one of the challenge's, for privacy only."""
    secret = _md5(b":".join((account.user, challenge.realm, account.password)))
    session = _md5(b":".join((secret, challenge.nonce, client_nonce)))
    qop = QOP[protection].encode()
    a2_end = b"" if protection is Protection.AUTHENTICATION else b":" + b"0" * 32
    proof, server_proof = (
        _proof(session, challenge.nonce, client_nonce, qop, verb + b":" + account.uri + a2_end)
        for verb in (b"AUTHENTICATE", b"")
    )
    names = (account.user, challenge.realm, challenge.nonce, client_nonce, account.uri)
    message = b'charset=utf-8,username="%s",realm="%s",nonce="%s",nc=00000001,cnonce="%s",digest-uri="%s"' % tuple(
        _quoted(name) for name in names
    )
    message += b",maxbuf=%d" % MAX_BUFFER_BYTES
    message += b",response=%s,qop=%s" % (proof, qop)
    if protection is Protection.PRIVACY:
        message += b",cipher=" + cipher.encode()
    return Response(message, server_proof, _keys(session))


def check_server(response: Response, token: bytes) -> None:
    """Raises SaslError unless the server's last word proves that it knows the password too."""
    if not hmac.compare_digest(_pairs(token).get("rspauth", b""), response.server_proof):
        raise SaslError("the server does not know the token's password")


def _proof(session: bytes, nonce: bytes, client_nonce: bytes, qop: bytes, a2: bytes) -> bytes:
    parts = (_hex(session), nonce, b"00000001", client_nonce, qop, _hex(_md5(a2)))
    return _hex(_md5(b":".join(parts)))


def _keys(session: bytes) -> Keys:
    return Keys(*(_md5(session + text) for text in (_TO_SERVER, _TO_CLIENT, _SEAL_TO_SERVER, _SEAL_TO_CLIENT)))


def _pairs(text: bytes) -> Mapping[str, bytes]:
    """Returns the first value of each name in `name=value,name="value"`."""
    found: dict[str, bytes] = {}
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            raise SaslError(f"DIGEST-MD5 cannot be read from byte {at} on")
        name, quoted, plain = match.groups()
        value = re.sub(rb"\\(.)", rb"\1", quoted) if quoted is not None else plain
        found.setdefault(name.decode("ascii").lower(), value)
        at = match.end()
    return found


def _quoted(text: bytes) -> bytes:
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _words(text: bytes) -> tuple[str, ...]:
    return tuple(word.strip().lower() for word in text.decode("latin-1").split(",") if word.strip())


def _md5(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).digest()


def _hex(data: bytes) -> bytes:
    return data.hex().encode("ascii")
