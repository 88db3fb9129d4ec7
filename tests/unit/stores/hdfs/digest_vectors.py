"""Sessions of DIGEST-MD5 recorded with Java's own server (javax.security.sasl of JDK 17), our client's nonce fixed."""

from __future__ import annotations

from dataclasses import dataclass

from stores.hdfs.security.digest_md5 import Account
from stores.location import Protection

ACCOUNT = Account(b"dXNlciBuYW1l", b"c2VjcmV0IGtleQ==", b"hdfs/0")
CLIENT_NONCE = b"Y2xpZW50IG5vbmNl"
FROM_SERVER = (b"first message", b"two", b"the third, with other bytes")
TO_SERVER = (b"to the server", b"four")


@dataclass(frozen=True, slots=True)
class Session:
    """What went over the wire. `from_server` and `to_server` are the wrapped forms of the messages above, as hex."""

    protection: Protection
    cipher: str
    challenge: bytes
    response: bytes
    proof: bytes
    from_server: tuple[str, ...] = ()
    to_server: tuple[str, ...] = ()


def _response(nonce: bytes, digest: bytes, end: bytes) -> bytes:
    return (
        b'charset=utf-8,username="dXNlciBuYW1l",realm="0",nonce="%s",nc=00000001,cnonce="Y2xpZW50IG5vbmNl",'
        b'digest-uri="hdfs/0",maxbuf=65536,response=%s,qop=%s' % (nonce, digest, end)
    )


def _challenge(nonce: bytes, qop: bytes, more: bytes = b"") -> bytes:
    return b'realm="0",nonce="%s",qop="%s",charset=utf-8,%salgorithm=md5-sess' % (nonce, qop, more)


_AUTH = b"CSaibHPejafhxkmGnUCTGFh9/Hm5DvVTy7q6PNfa"
_INTEGRITY = b"5MdnQ9CxTFnMXwJwXLu7/sn/c7xYBBqBYUf4j//o"
_RC4 = b"SCSTmyqoejEY2+mBO2RNI0PyqE2i4oPivNzeLFXE"
_DES = b"Z7+E2FvXPeJ1UK7PkI0QJaAgPqQQEJL3i8b+XYpk"
_CIPHERS = b'cipher="3des,rc4,des,rc4-56,rc4-40",'

SESSIONS = (
    Session(
        Protection.AUTHENTICATION,
        "",
        _challenge(_AUTH, b"auth"),
        _response(_AUTH, b"ae7feaa0c29e6454de73e39bcfc501d4", b"auth"),
        b"rspauth=0962ce35c2694b83601ea89c050ea86a",
    ),
    Session(
        Protection.INTEGRITY,
        "",
        _challenge(_INTEGRITY, b"auth-int"),
        _response(_INTEGRITY, b"c38838ae9f90fce011956d16d133e8e9", b"auth-int"),
        b"rspauth=3470155b5ef1dcc3afe32b5cfe325222",
        (
            "6669727374206d657373616765b927f6a68ef1792ae876000100000000",
            "74776fbb89bbb8418c3a30b0ce000100000001",
            "7468652074686972642c2077697468206f74686572206279746573cbf1bda984d7dfbe9a35000100000002",
        ),
        (
            "746f20746865207365727665723708359d972319476616000100000000",
            "666f7572c16e5672ff06d12ce462000100000001",
        ),
    ),
    Session(
        Protection.PRIVACY,
        "rc4",
        _challenge(_RC4, b"auth-conf", _CIPHERS),
        _response(_RC4, b"a965c2dfeb894bbec7b7ff73292956a5", b"auth-conf,cipher=rc4"),
        b"rspauth=7fa34f4337d25725d75050a3a888626e",
        (
            "2b3aced6359bdcfe673201fa692647d053a91d629d0bf5000100000000",
            "b99957326b33a45450f8402069000100000001",
            "55b9c05230bae71034c18228e40dc165f7c73fa6a7a5f007bf4e394f49f94f9e2679eb5de2000100000002",
        ),
        (
            "c7d06019f302c1d2a3d41320547a3e47faa5a00c170dcc000100000000",
            "bd85f04e7d7cf96f2a851f13ebcd000100000001",
        ),
    ),
    Session(
        Protection.PRIVACY,
        "3des",
        _challenge(_DES, b"auth-conf", _CIPHERS),
        _response(_DES, b"9b0bb4f32ee06c1f53dc4d06513707b7", b"auth-conf,cipher=3des"),
        b"rspauth=180b9f8626a470f121d630b8c93f8a8a",
        (
            "981125cf78983f21596e2d5b0fa7938920149949d1628056000100000000",
            "d28ea72506f7fc58db47394f8cb909b5000100000001",
            "01adaf9119036be6c13c8444b8a7999ea3d702c482feafee600fadca7270c4492bb17dcc1abffe4d000100000002",
        ),
        (
            "f310e4db20fcbcccde88c49b4093ffa38332e83eeae6f01a000100000000",
            "a541b013ce71c1a3f96f1194d8bc3872000100000001",
        ),
    ),
)
