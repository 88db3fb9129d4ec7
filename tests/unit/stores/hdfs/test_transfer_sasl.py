"""The login at a DataNode, message by message, without a socket."""

from __future__ import annotations

import pytest

from blockferry.errors import BlockferryError
from stores.hdfs.delimited import delimited
from stores.hdfs.security import seal
from stores.hdfs.security.digest_layer import DigestLayer
from stores.hdfs.security.digest_login import DigestLogin
from stores.hdfs.security.digest_md5 import Keys, parse_challenge, respond
from stores.hdfs.security.sasl import SaslError
from stores.hdfs.transfer.transfer_sasl import (
    MAGIC,
    StreamKeys,
    TokenRefusedError,
    block_account,
    handshake,
    key_account,
)
from stores.hdfs.wire.hdfs_pb2 import TokenProto
from stores.hdfs.wire.security_pb2 import (
    BlockTokenSecretProto,
    CipherOptionProto,
    DataEncryptionKeyProto,
    DataTransferEncryptorMessageProto,
    HandshakeSecretProto,
)
from stores.location import Protection
from tests.unit.stores.hdfs.digest_vectors import ACCOUNT, CLIENT_NONCE, SESSIONS, Session

ALL = tuple(Protection)
TOKEN = TokenProto(identifier=b"\xffno secret", password=b"p", kind="HDFS_BLOCK_TOKEN", service="")


def login(accepted: tuple[Protection, ...] = ALL) -> DigestLogin:
    return DigestLogin(ACCOUNT, accepted, "the DataNode dn1:9866", lambda: CLIENT_NONCE)


def sent(message: bytes) -> DataTransferEncryptorMessageProto:
    size = next(index for index, byte in enumerate(message) if byte < 0x80) + 1
    parsed = DataTransferEncryptorMessageProto.FromString(message[size:])
    assert delimited(parsed) == message
    return parsed


def said(**fields: object) -> bytes:
    return DataTransferEncryptorMessageProto(**{"status": 0, **fields}).SerializeToString()  # type: ignore[arg-type]


def datanode(session: Session) -> DigestLayer:
    """The DataNode's end of a session with RC4."""
    challenge = parse_challenge(session.challenge)
    keys = respond(ACCOUNT, challenge, session.protection, CLIENT_NONCE, session.cipher).keys
    theirs = Keys(keys.verify, keys.sign, keys.unseal, keys.seal)
    return DigestLayer(theirs, seal.Sealer("rc4", theirs.seal, True), seal.Sealer("rc4", theirs.unseal, False))


@pytest.mark.parametrize("session", SESSIONS[:3], ids=lambda s: s.protection.value)
def test_a_login_by_block_token(session: Session) -> None:
    ours = login()
    steps = handshake(ours, TOKEN)
    opening = next(steps)
    assert opening[:4] == MAGIC
    assert sent(opening[4:]) == DataTransferEncryptorMessageProto(status=0, payload=b"")
    answer = sent(steps.send(said(payload=session.challenge)))
    assert answer.payload == session.response
    wants_aes = [option.suite for option in answer.cipherOption] == [2]
    assert wants_aes == (session.protection is Protection.PRIVACY)
    with pytest.raises(StopIteration) as ended:
        steps.send(said(payload=session.proof))
    assert ended.value.value is None
    assert ours.protection is session.protection


def test_the_keys_of_aes_are_swapped_and_unwrapped() -> None:
    """The DataNode names them from its side: what it sends with, we receive with."""
    session = SESSIONS[2]
    theirs = datanode(session)
    option = CipherOptionProto(
        suite=2, inKey=theirs.wrap(b"i" * 16), inIv=b"I" * 16, outKey=theirs.wrap(b"o" * 16), outIv=b"O" * 16
    )
    steps = handshake(login(), TOKEN)
    next(steps)
    steps.send(said(payload=session.challenge))
    with pytest.raises(StopIteration) as ended:
        steps.send(said(payload=session.proof, cipherOption=[option]))
    assert ended.value.value == StreamKeys(b"o" * 16, b"O" * 16, b"i" * 16, b"I" * 16)
    assert "oooo" not in repr(ended.value.value)


def test_a_datanode_that_offers_less_is_refused() -> None:
    steps = handshake(login((Protection.PRIVACY,)), TOKEN)
    next(steps)
    with pytest.raises(BlockferryError) as refusal:
        steps.send(said(payload=SESSIONS[1].challenge))
    assert refusal.value.reason == "PROTECTION_REFUSED"
    assert "dn1:9866 offers integrity" in refusal.value.message


@pytest.mark.parametrize(("status", "is_key"), [(1, True), (2, False)])
def test_a_token_that_is_refused(status: int, is_key: bool) -> None:
    steps = handshake(login(), TOKEN)
    next(steps)
    with pytest.raises(TokenRefusedError, match=r"^Block token is expired$") as refusal:
        steps.send(said(status=status, message="Block token is expired\n\tat Java"))
    assert refusal.value.is_key == is_key


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"\xff\xff", b""),
        (said(payload=b"nonsense"), b""),
        (said(payload=SESSIONS[0].challenge), said(payload=b"rspauth=0")),
        (said(payload=SESSIONS[0].challenge), b"\xff"),
        (
            said(payload=SESSIONS[0].challenge),
            said(payload=SESSIONS[0].proof, cipherOption=[CipherOptionProto(suite=2)]),
        ),
        (
            said(payload=SESSIONS[2].challenge),
            said(payload=SESSIONS[2].proof, cipherOption=[CipherOptionProto(suite=3)]),
        ),
        (
            said(payload=SESSIONS[2].challenge),
            said(payload=SESSIONS[2].proof, cipherOption=[CipherOptionProto(suite=2, inKey=b"x", outKey=b"y")]),
        ),
    ],
)
def test_a_datanode_that_speaks_nonsense_is_not_believed(first: bytes, second: bytes) -> None:
    steps = handshake(login(), TOKEN)
    next(steps)
    with pytest.raises(SaslError):
        steps.send(first)
        steps.send(second)


def test_the_secret_of_a_token_is_told_first() -> None:
    """Clusters with dfs.namenode.send.qop.enabled."""
    identifier = BlockTokenSecretProto(keyId=1, blockPoolId="BP-1", handshakeSecret=b"secret").SerializeToString()
    token = TokenProto(identifier=identifier, password=b"p", kind="HDFS_BLOCK_TOKEN", service="")
    opening = sent(next(handshake(login(), token))[4:])
    assert opening.handshakeSecret == HandshakeSecretProto(secret=b"secret", bpid="BP-1")


def test_users_and_passwords() -> None:
    token = TokenProto(identifier=b"\0id", password=b"\xffpw", kind="HDFS_BLOCK_TOKEN", service="")
    account = block_account(token)
    assert (account.user, account.password, account.uri) == (b"AGlk", b"/3B3", b"hdfs/0")
    key = DataEncryptionKeyProto(
        keyId=7, blockPoolId="BP-1", nonce=b"\0nonce", encryptionKey=b"key", expiryDate=1, encryptionAlgorithm="3des"
    )
    account = key_account(key)
    assert (account.user, account.password) == (b"7 BP-1 AG5vbmNl", b"a2V5")
