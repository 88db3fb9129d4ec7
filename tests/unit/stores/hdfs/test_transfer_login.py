"""Whether a connection to a DataNode is protected: what the cluster wants, against what the location accepts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

import pytest

from blockferry.errors import BlockferryError
from stores.hdfs.config.cluster import Security
from stores.hdfs.delimited import delimited
from stores.hdfs.replica import Replica
from stores.hdfs.transfer.peer import Peer
from stores.hdfs.transfer.transfer_login import ClusterAnswers, TransferLogin
from stores.hdfs.transfer.transfer_sasl import MAGIC
from stores.hdfs.wire.hdfs_pb2 import TokenProto
from stores.hdfs.wire.security_pb2 import DataEncryptionKeyProto, DataTransferEncryptorMessageProto
from stores.location import Protection

TOKEN = TokenProto(identifier=b"\xffid", password=b"p", kind="HDFS_BLOCK_TOKEN", service="")
REPLICA = Replica(7, "dn:9866")
ALL = tuple(Protection)
T = TypeVar("T")


class Answers:
    """What the NameNode says, and how often it was asked."""

    def __init__(self, secure: bool, encrypts: bool = False, key: DataEncryptionKeyProto | None = None) -> None:
        self.asked: list[str] = []
        self.told = ClusterAnswers(
            lambda: secure,
            lambda: self._note("encrypts", encrypts),
            lambda: self._note("key", key),
        )

    def _note(self, what: str, answer: T) -> T:
        self.asked.append(what)
        return answer


def key(expiry_s: float) -> DataEncryptionKeyProto:
    return DataEncryptionKeyProto(
        keyId=1, blockPoolId="BP", nonce=b"n", encryptionKey=b"k", expiryDate=int(expiry_s * 1000)
    )


@contextmanager
def connected(port: int) -> Iterator[tuple[socket.socket, Peer]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with theirs, closing(Peer(("127.0.0.1", port), ours, 5.0)) as peer:
        yield theirs, peer


@pytest.mark.parametrize(("secure", "port"), [(False, 9866), (True, 1004)])
def test_without_kerberos_and_on_privileged_ports_nothing_is_sent(secure: bool, port: int) -> None:
    login = TransferLogin(Security(), Answers(secure).told)
    with connected(port) as (theirs, peer):
        login.protect(peer, TOKEN, REPLICA, 0)
        peer.send(b"the operation")
        assert theirs.recv(100) == b"the operation"


@pytest.mark.parametrize(("secure", "port"), [(False, 9866), (True, 1004)])
def test_where_nothing_can_be_agreed_on_more_than_that_is_refused(secure: bool, port: int) -> None:
    login = TransferLogin(Security(transfer_protections=ALL[1:]), Answers(secure).told)
    with connected(port) as (_, peer), pytest.raises(BlockferryError, match="offers no protection") as caught:
        login.protect(peer, TOKEN, REPLICA, 0)
    assert caught.value.reason == "PROTECTION_REFUSED"


def refused(login: TransferLogin, status: int) -> BlockferryError:
    """The error of a DataNode that refuses the login."""
    message = DataTransferEncryptorMessageProto(status=status, message="Can't re-compute encryption key\n\tat Java")
    with connected(9866) as (theirs, peer):
        theirs.sendall(delimited(message))
        with pytest.raises(BlockferryError) as caught:
            login.protect(peer, TOKEN, REPLICA, 5)
        assert theirs.recv(4) == MAGIC
    return caught.value


def test_a_token_that_is_refused_is_about_the_replica() -> None:
    error = refused(TransferLogin(Security(), Answers(True).told), 2)
    assert (error.reason, error.coordinates) == ("TOKEN_REFUSED", {"block_id": "7", "offset": "5", "host": "dn:9866"})
    assert "at Java" not in error.message


def test_a_key_is_kept_until_it_ends_or_is_refused() -> None:
    now = 1000.0
    answers = Answers(False, True, key(now + 600))
    login = TransferLogin(Security(), answers.told, lambda: now)
    for _ in range(2):
        assert refused(login, 2).reason == "TOKEN_REFUSED"
    assert answers.asked == ["encrypts", "key"]
    assert "data encryption key" in refused(login, 1).message  # it is not known: asked for again
    assert answers.asked == ["encrypts", "key"]
    refused(login, 2)
    assert answers.asked == ["encrypts", "key", "key"]
    now += 550
    refused(login, 2)
    assert answers.asked == ["encrypts", "key", "key", "key"]


def test_a_cluster_that_must_encrypt_and_gives_no_key_is_refused() -> None:
    """Its site files say so: nobody is asked whether it does."""
    answers = Answers(True)
    login = TransferLogin(Security(encrypts_transfer=True), answers.told)
    with connected(9866) as (_, peer), pytest.raises(BlockferryError) as caught:
        login.protect(peer, TOKEN, REPLICA, 0)
    assert caught.value.reason == "PROTECTION_REFUSED"
    assert answers.asked == ["key"]


def test_a_datanode_that_speaks_nonsense_is_another_ones_turn() -> None:
    with connected(9866) as (theirs, peer):
        theirs.sendall(b"\x02\xff\xff")
        with pytest.raises(BlockferryError, match="has not proved itself") as caught:
            TransferLogin(Security(), Answers(True).told).protect(peer, TOKEN, REPLICA, 0)
    assert (caught.value.reason, caught.value.retryable) == ("DATANODE_UNAVAILABLE", True)
