"""Hadoop's token files in both formats, and secrets inside block tokens, as Java writes them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.hdfs.security.tokens import (
    DELEGATION_KIND,
    Token,
    account_of,
    delegation_token,
    handshake_secret,
    parse_file,
    token_of,
)
from stores.hdfs.wire.security_pb2 import BlockTokenSecretProto, CredentialsProto

WORDS = st.text(max_size=20)
TOKENS = st.lists(st.builds(Token, WORDS, WORDS, st.binary(max_size=300), st.binary(max_size=40)), max_size=4)


def vlong(number: int) -> bytes:
    """As WritableUtils.writeVLong."""
    if -112 <= number <= 127:
        return number.to_bytes(1, signed=True)
    sign, number = (-120, ~number) if number < 0 else (-112, number)
    size = -(-number.bit_length() // 8)
    return (sign - size).to_bytes(1, signed=True) + number.to_bytes(size, "big")


def field(content: bytes) -> bytes:
    return vlong(len(content)) + content


def java_file(tokens: list[Token]) -> bytes:
    """Version 0 of Credentials.java."""
    entries = (
        field(token.service.encode())
        + b"".join(map(field, (token.identifier, token.password, token.kind.encode(), token.service.encode())))
        for token in tokens
    )
    return b"HDTS\0" + vlong(len(tokens)) + b"".join(entries) + vlong(0)


def block_token(secret: bytes | None, *, storages: bool = True) -> bytes:
    """As BlockTokenIdentifier.writeLegacy."""
    head = vlong(1795283867000) + vlong(-12345678) + string("alice") + string("BP-1") + vlong(1073741825)
    modes = vlong(1) + field(b"READ")
    if not storages:
        return head + modes
    kinds = vlong(2) + field(b"DISK") * 2 + vlong(2) + string("DS-1") + string("DS-2")
    return head + modes + kinds + (b"" if secret is None else field(secret))


def string(text: str) -> bytes:
    """As WritableUtils.writeString."""
    return len(text).to_bytes(4, "big") + text.encode()


@given(TOKENS)
def test_a_file_of_writables_gives_its_tokens(tokens: list[Token]) -> None:
    assert list(parse_file(java_file(tokens))) == tokens


@given(TOKENS)
def test_a_file_of_messages_gives_its_tokens(tokens: list[Token]) -> None:
    named = [CredentialsProto.Named(alias=token.service, token=token.proto) for token in tokens]
    body = CredentialsProto(tokens=named).SerializeToString()
    size = len(body)
    varint = bytearray()
    while size > 0x7F:
        varint.append(size & 0x7F | 0x80)
        size >>= 7
    assert list(parse_file(b"HDTS\x01" + bytes(varint) + bytes((size,)) + body)) == tokens


@pytest.mark.parametrize(
    "content", [b"", b"HDTS", b"HDT\0\0\0", b"HDTS\2\0", b"HDTS\0\5", b"HDTS\1\x05ab", b"HDTS\0\x8f"]
)
def test_what_is_no_file_of_tokens_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^its? "):
        parse_file(content)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parsers(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_file(b"HDTS\0" + content)
    handshake_secret(content)


def test_a_token_is_found_by_any_name_of_its_namenode() -> None:
    theirs = Token(DELEGATION_KIND, "10.0.0.1:8020", b"1", b"p")
    ours = Token(DELEGATION_KIND, "ha-hdfs:NS1", b"2", b"p")
    other_kind = Token("kms-dt", "ha-hdfs:ns1", b"3", b"p")
    assert delegation_token((theirs, other_kind, ours), ("nn1:8020", "ha-hdfs:ns1")) == ours
    assert delegation_token((theirs, other_kind), ("nn1:8020", "ha-hdfs:ns1")) is None


def test_user_and_password_are_base64() -> None:
    account = account_of(Token(DELEGATION_KIND, "nn:8020", b"\0identifier", b"\xffpassword"), "hdfs/nn")
    assert (account.user, account.password, account.uri) == (b"AGlkZW50aWZpZXI=", b"/3Bhc3N3b3Jk", b"hdfs/nn")


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        (block_token(b"\x01\x02secret"), (b"\x01\x02secret", "BP-1")),
        (block_token(b""), None),
        (block_token(None), None),
        (block_token(None, storages=False), None),
        (BlockTokenSecretProto(keyId=1, blockPoolId="BP-2", handshakeSecret=b"s").SerializeToString(), (b"s", "BP-2")),
        (BlockTokenSecretProto(keyId=1, blockPoolId="BP-2").SerializeToString(), None),
        (b"", None),
    ],
)
def test_the_secret_in_a_block_token(identifier: bytes, expected: tuple[bytes, str] | None) -> None:
    assert handshake_secret(identifier) == expected


def test_no_secret_is_shown() -> None:
    token = Token(DELEGATION_KIND, "nn:8020", b"identity", b"password")
    assert repr(token) == f"Token(kind='{DELEGATION_KIND}', service='nn:8020')"
    assert token_of(token.proto) == token
