"""Hadoop's tokens: files of them, which one is for whom, and what DIGEST-MD5 makes of one. PURE.

Formats: Credentials.java, Token.java, WritableUtils.java and BlockTokenIdentifier.java of Hadoop 3.4.2.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from stores.hdfs.security.digest_md5 import Account
from stores.hdfs.wire.hdfs_pb2 import TokenProto
from stores.hdfs.wire.security_pb2 import BlockTokenSecretProto, CredentialsProto

DELEGATION_KIND = "HDFS_DELEGATION_TOKEN"
_MAGIC = b"HDTS"
_WRITABLE, _PROTOBUF = 0, 1


@dataclass(frozen=True, slots=True)
class Token:
    """A token. `service` says where it is good: `host:port`, or `ha-hdfs:nameservice`."""

    kind: str
    service: str
    identifier: bytes = field(repr=False)
    password: bytes = field(repr=False)

    @property
    def proto(self) -> TokenProto:
        """Returns it as the wire has it."""
        return TokenProto(identifier=self.identifier, password=self.password, kind=self.kind, service=self.service)


def token_of(proto: TokenProto) -> Token:
    """Returns the token of a message."""
    return Token(proto.kind, proto.service, proto.identifier, proto.password)


def account_of(token: Token, uri: str) -> Account:
    """Returns user and password of DIGEST-MD5 for a token at `protocol/server` (SaslRpcServer.encodeIdentifier)."""
    return Account(base64.b64encode(token.identifier), base64.b64encode(token.password), uri.encode())


def delegation_token(tokens: Sequence[Token], services: Sequence[str]) -> Token | None:
    """Returns the first token for a NameNode that is known by one of these services."""
    wanted = {service.lower() for service in services}
    for token in tokens:
        if token.kind == DELEGATION_KIND and token.service.lower() in wanted:
            return token
    return None


def parse_file(content: bytes) -> tuple[Token, ...]:
    """Returns the tokens of a file as Hadoop writes it (`hdfs fetchdt`, HADOOP_TOKEN_FILE_LOCATION).

    Raises:
        ValueError: it is no such file. The message holds nothing of its content.
    """
    if content[:4] != _MAGIC or len(content) < 5:
        raise ValueError("it does not begin as a file of Hadoop's tokens")
    if content[4] == _WRITABLE:
        return _writable(_Reader(content, 5))
    if content[4] == _PROTOBUF:
        reader = _Reader(content, 5)
        try:
            message = CredentialsProto.FromString(reader.take(reader.varint()))
        except DecodeError as error:
            raise ValueError("it holds no message of tokens") from error
        return tuple(token_of(named.token) for named in message.tokens)
    raise ValueError(f"its format {content[4]} is not known")


def handshake_secret(identifier: bytes) -> tuple[bytes, str] | None:
    """Returns the secret that a DataNode wants to hear first, and the block pool, out of a block token's identifier;
    None where it has none: as a rule. (dfs.namenode.send.qop.enabled; identifiers are Writables or messages.)"""
    try:
        # BlockTokenIdentifier.readFields: a Writable begins with a time, whose first byte is negative
        if identifier[:1] == b"\0" or identifier[:1] > b"\x7f":
            secret, pool = _secret_of_writable(_Reader(identifier, 0))
        else:
            message = BlockTokenSecretProto.FromString(identifier)
            secret, pool = message.handshakeSecret, message.blockPoolId
    except (DecodeError, ValueError):
        return None
    return (secret, pool) if secret else None


def _writable(reader: _Reader) -> tuple[Token, ...]:
    found = []
    for _ in range(reader.number()):
        reader.field()  # an alias: the service again, as a rule
        identifier, password = reader.field(), reader.field()
        kind, service = reader.text(), reader.text()
        found.append(Token(kind, service, identifier, password))
    return tuple(found)


def _secret_of_writable(reader: _Reader) -> tuple[bytes, str]:
    """BlockTokenIdentifier.readFieldsLegacy: fields that older versions do not know are simply not there."""
    reader.number()  # expiry date
    reader.number()  # key id
    reader.string()  # user
    pool = reader.string().decode("utf-8", errors="replace")
    reader.number()  # block id
    for _ in range(reader.count()):
        reader.field()  # access modes
    if reader.is_at_end():
        return b"", pool
    for _ in range(reader.count()):
        reader.field()  # storage types
    for _ in range(reader.count()):
        reader.string()  # storage ids
    return (b"" if reader.is_at_end() else reader.field()), pool


class _Reader:
    """Reads what Java's DataOutput has written. Raises ValueError at its end."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at

    def is_at_end(self) -> bool:
        return self._at >= len(self._content)

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._content) - self._at:
            raise ValueError("it is cut off")
        self._at += size
        return self._content[self._at - size : self._at]

    def number(self) -> int:
        """WritableUtils.readVLong: one byte from -112 on; below, sign and count of the bytes that follow."""
        first = int.from_bytes(self.take(1), signed=True)
        if first >= -112:
            return first
        negative = first < -120
        value = int.from_bytes(self.take(-120 - first if negative else -112 - first), "big")
        return ~value if negative else value

    def count(self) -> int:
        count = self.number()
        if not 0 <= count <= len(self._content):
            raise ValueError("it counts more than there is")
        return count

    def field(self) -> bytes:
        return self.take(self.count())

    def string(self) -> bytes:
        """WritableUtils.readString: four bytes of length, -1 for none."""
        return self.take(max(int.from_bytes(self.take(4), "big", signed=True), 0))

    def text(self) -> str:
        return self.field().decode("utf-8", errors="replace")

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
