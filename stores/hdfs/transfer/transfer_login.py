"""Whether and how connections to DataNodes are protected: what the cluster asks for, against what a location accepts.

Follows SaslDataTransferClient.java: encryption of all transfer goes first; without Kerberos there is nothing to agree
on; a DataNode on a privileged port (below 1024) proves itself by that alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

from stores.hdfs.addresses import shown
from stores.hdfs.config.cluster import Security
from stores.hdfs.replica import Replica
from stores.hdfs.security.aes_ctr import AesCtr
from stores.hdfs.security.digest_login import DigestLogin
from stores.hdfs.security.sasl import SaslError, protection_refused
from stores.hdfs.transfer.peer import Peer, TransferLayer
from stores.hdfs.transfer.protected import AesStream, SaslRecords
from stores.hdfs.transfer.transfer_sasl import StreamKeys, TokenRefusedError, block_account, handshake, key_account
from stores.hdfs.wire.hdfs_pb2 import TokenProto
from stores.hdfs.wire.security_pb2 import DataEncryptionKeyProto
from stores.location import Protection

_PRIVILEGED_PORTS = range(1, 1024)
# A key is asked for again so long before it ends: DataNodes' clocks differ.
_KEY_MARGIN_S = 60.0


@dataclass(frozen=True, slots=True)
class ClusterAnswers:
    """What must be asked before the first block is read. Each raises BlockferryError.

    Attributes:
        is_secure: the NameNode has seen more than a name.
        encrypts_transfer: dfs.encrypt.data.transfer of the NameNode.
        data_key: a new data encryption key; None: the cluster has none.
    """

    is_secure: Callable[[], bool]
    encrypts_transfer: Callable[[], bool]
    data_key: Callable[[], DataEncryptionKeyProto | None]


class TransferLogin:
    """Protects connections of one location. Thread safe."""

    def __init__(self, security: Security, answers: ClusterAnswers, clock: Callable[[], float] = time.time) -> None:
        """Asks nobody yet."""
        self._accepted = security.transfer_protections or tuple(Protection)
        self._must_encrypt = security.encrypts_transfer is True
        self._answers = answers
        self._clock = clock
        self._lock = threading.Lock()
        self._encrypts: bool | None = None
        self._key: DataEncryptionKeyProto | None = None

    def protect(self, peer: Peer, token: TokenProto, replica: Replica, offset: int) -> None:
        """Logs in over a new connection, where the cluster wants it, before its first operation.

        Raises:
            BlockferryError: TOKEN_REFUSED: ask the NameNode for another token; PROTECTION_REFUSED;
                DATANODE_UNAVAILABLE; what asking the NameNode raises.
            OSError, EOFError: of the connection.
        """
        try:
            login = self._login(peer.address, token)
            if login is None:
                return
            keys = _run(peer, handshake(login, token))
            peer.protect(_layer(login, keys))
        except TokenRefusedError as error:
            if error.is_key:
                self._forget_key()
            what = "data encryption key" if error.is_key else "token"
            raise replica.failure(
                "TOKEN_REFUSED",
                f"the DataNode {replica.host} refuses the {what} for block {replica.block_id}: {error}. It may have "
                "expired: ask the NameNode for the file's locations again.",
                offset,
            ) from error
        except SaslError as error:
            raise replica.not_genuine(offset, error) from error

    def _login(self, address: tuple[str, int], token: TokenProto) -> DigestLogin | None:
        server = f"the DataNode {shown(address)}"
        if self._encrypts_transfer():
            return DigestLogin(key_account(self._data_key()), (Protection.PRIVACY,), server)
        if not self._answers.is_secure() or address[1] in _PRIVILEGED_PORTS:
            if Protection.AUTHENTICATION not in self._accepted:
                raise protection_refused(self._accepted, (), server)
            return None
        if not token.identifier:  # out of a listing: the DataNode would only drop the connection
            raise TokenRefusedError("there is none", is_key=False)
        return DigestLogin(block_account(token), self._accepted, server)

    def _encrypts_transfer(self) -> bool:
        if self._encrypts is None:
            self._encrypts = self._must_encrypt or self._answers.encrypts_transfer()
        return self._encrypts

    def _data_key(self) -> DataEncryptionKeyProto:
        with self._lock:
            if self._key is None or self._clock() + _KEY_MARGIN_S > self._key.expiryDate / 1000:
                self._key = self._answers.data_key()
            if self._key is None:
                raise protection_refused((Protection.PRIVACY,), (), "the NameNode gives no data encryption key and")
            return self._key

    def _forget_key(self) -> None:
        with self._lock:
            self._key = None


def _run(peer: Peer, steps: Generator[bytes, bytes, StreamKeys | None]) -> StreamKeys | None:
    message = next(steps)
    while True:
        peer.send(message)
        try:
            message = steps.send(peer.receive_message())
        except StopIteration as end:
            keys: StreamKeys | None = end.value
            return keys


def _layer(login: DigestLogin, keys: StreamKeys | None) -> TransferLayer | None:
    if keys is not None:
        return AesStream(AesCtr(keys.inbound_key, keys.inbound_iv), AesCtr(keys.outbound_key, keys.outbound_iv))
    layer = login.layer
    return None if layer is None else SaslRecords(layer)
