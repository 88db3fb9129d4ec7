"""The login at a DataNode: SASL by DIGEST-MD5 before the first operation, and the choice of a cipher. PURE.

The password is that of a block token, or a data encryption key that the NameNode gives to who may read the cluster.
Facts of the wire: SaslDataTransferClient.java, DataTransferSaslUtil.java and datatransfer.proto of Hadoop 3.4.2.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError

from stores.hdfs.delimited import delimited
from stores.hdfs.security.digest_login import DigestLogin
from stores.hdfs.security.digest_md5 import Account
from stores.hdfs.security.sasl import SaslError
from stores.hdfs.security.tokens import account_of, handshake_secret, token_of
from stores.hdfs.wire.hdfs_pb2 import TokenProto
from stores.hdfs.wire.security_pb2 import (
    CipherOptionProto,
    DataEncryptionKeyProto,
    DataTransferEncryptorMessageProto,
    HandshakeSecretProto,
)
from stores.location import Protection

MAGIC = b"\xde\xad\xbe\xef"
URI = "hdfs/0"  # the same for every DataNode
_SUCCESS, _UNKNOWN_KEY = 0, 1
_AES_CTR_NO_PADDING = 2


class TokenRefusedError(Exception):
    """The DataNode does not take the block token or the data encryption key (`is_key`): ask the NameNode for another
    one."""

    def __init__(self, said: str, is_key: bool) -> None:
        super().__init__(said)
        self.is_key = is_key


@dataclass(frozen=True, slots=True)
class StreamKeys:
    """Keys and counters of AES/CTR, from our side."""

    inbound_key: bytes = field(repr=False)
    inbound_iv: bytes = field(repr=False)
    outbound_key: bytes = field(repr=False)
    outbound_iv: bytes = field(repr=False)


def block_account(token: TokenProto) -> Account:
    """Returns user and password of a block token."""
    return account_of(token_of(token), URI)


def key_account(key: DataEncryptionKeyProto) -> Account:
    """Returns user and password of a data encryption key."""
    nonce = base64.b64encode(key.nonce).decode("ascii")
    user = f"{key.keyId} {key.blockPoolId} {nonce}"
    return Account(user.encode(), base64.b64encode(key.encryptionKey), URI.encode())


def handshake(login: DigestLogin, token: TokenProto) -> Generator[bytes, bytes, StreamKeys | None]:
    """Yields what to send, takes the bodies of the DataNode's messages, and returns the keys of AES/CTR where that was
    agreed on. Then `login` tells the protection and its layer.

    Raises:
        TokenRefusedError: see there.
        SaslError: the DataNode speaks nonsense, or has not proved itself.
        BlockferryError: PROTECTION_REFUSED.
    """
    opening = DataTransferEncryptorMessageProto(status=_SUCCESS, payload=b"")
    if found := handshake_secret(token.identifier):
        secret, pool = found
        opening.handshakeSecret.CopyFrom(HandshakeSecretProto(secret=secret, bpid=pool))
    challenge = _parsed((yield MAGIC + delimited(opening)))
    answer = DataTransferEncryptorMessageProto(status=_SUCCESS, payload=login.respond(challenge.payload))
    if login.protection is Protection.PRIVACY:
        answer.cipherOption.append(CipherOptionProto(suite=_AES_CTR_NO_PADDING))
    end = _parsed((yield delimited(answer)))
    login.finish(end.payload)
    for option in end.cipherOption:
        if option.suite != _AES_CTR_NO_PADDING or login.protection is not Protection.PRIVACY:
            raise SaslError(f"the DataNode chose cipher {option.suite}, which nobody has offered")
        return _stream_keys(login, option)
    return None


def _stream_keys(login: DigestLogin, option: CipherOptionProto) -> StreamKeys:
    layer = login.layer
    if layer is None:
        raise SaslError("the DataNode sent keys that nothing protects")
    into_it, out_of_it = layer.unwrap(option.inKey), layer.unwrap(option.outKey)  # in this order: they are numbered
    return StreamKeys(out_of_it, option.outIv, into_it, option.inIv)


def _parsed(body: bytes) -> DataTransferEncryptorMessageProto:
    try:
        message = DataTransferEncryptorMessageProto.FromString(body)
    except DecodeError as error:
        raise SaslError("the DataNode's answer is no message of a login") from error
    if message.status != _SUCCESS:
        raise TokenRefusedError(message.message.partition("\n")[0].strip(), message.status == _UNKNOWN_KEY)
    return message
