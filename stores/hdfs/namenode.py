"""The calls of a NameNode's ClientProtocol that we make, typed, with the active one found among several.

Paths are absolute. Holds no state of files. All calls are idempotent, also reports of corrupt replicas: one that no
NameNode can do now (fail-over, safe mode, restart) is made again until `patience` ends, here and nowhere else.
"""

from __future__ import annotations

import copy
import threading
import time
from enum import IntEnum
from functools import partial

from google.protobuf.message import Message

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.rpc.active import ActiveSearch, Outages, Waits, found
from stores.hdfs.rpc.inability import can_pass, is_about_call, unable
from stores.hdfs.rpc.patience import Patience
from stores.hdfs.rpc.pool import CONNECT_S, Login, RpcPool, server_of
from stores.hdfs.security.tokens import Token, token_of
from stores.hdfs.wire import listing_pb2, namenode_pb2, security_pb2, service_state_pb2
from stores.hdfs.wire.hdfs_pb2 import ContentSummaryProto, DatanodeInfoProto, FsServerDefaultsProto, LocatedBlockProto
from stores.hdfs.wire.listing_pb2 import ListedEntryProto
from stores.hdfs.wire.security_pb2 import DataEncryptionKeyProto

PROTOCOL = "org.apache.hadoop.hdfs.protocol.ClientProtocol"
_LIVE = 2
_FILE = 2  # HdfsFileStatusProto.FileType
_SLOW_S = 30.0  # so long an impatient client waits for one NameNode when another has said that it cannot
_NO_SUCH_METHOD = "org.apache.hadoop.ipc.RpcNoSuchMethodException"


class ServiceState(IntEnum):
    """What a NameNode does. Routers are active, or standby while they know too little."""

    INITIALIZING = 0
    ACTIVE = 1
    STANDBY = 2
    OBSERVER = 3


class NameNodeClient:
    """A cluster's NameNodes. Thread safe; opens at most `connection_count` connections to each."""

    def __init__(
        self,
        namenodes: tuple[str, ...],
        user: str,
        timeout_s: float = 60.0,
        connection_count: int = 8,
        *,
        patience: Patience | None = None,
        waits: Waits | None = None,
        login: Login | None = None,
        connect_s: float = CONNECT_S,
    ) -> None:
        """Opens nothing yet.

        Args:
            namenodes: `host:port`; more than one only in a cluster with high availability.
            user: effective user of simple authentication.
            timeout_s: for each answer of a NameNode.
            patience: how long a call waits for a NameNode that can do it. A cluster of which no NameNode has ever
                answered is not waited for: its address is likely to be wrong.
            waits: how to wait; by default until `close`.
            login: how connections log in; None: by `user` alone.
            connect_s: for each connection.
        """
        if not namenodes:
            raise BlockferryError(
                "INVALID_NAMENODE", "An HDFS location needs at least one NameNode (host:port).", whose=Whose.CALLER
            )
        self._pools = tuple(
            RpcPool(server_of(address, PROTOCOL, user), timeout_s, connection_count, login, connect_s)
            for address in namenodes
        )
        self._closed = threading.Event()
        self._waits = waits or Waits(time.monotonic, self._closed.wait)
        self._patience = patience or Patience()
        self._outages = Outages(self._patience, self._waits.clock)
        # Which NameNode answered last. None: it is not known, so all are asked at once, and a dead one costs no time.
        self._active = 0 if len(self._pools) == 1 else None
        self._answered = False  # any NameNode, in whatever words
        self._locates = True  # the NameNode is not known to be without getLocatedFileInfo

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each NameNode, in the order given."""
        return tuple((pool.server.host, pool.server.port) for pool in self._pools)

    def close(self) -> None:
        """Closes the connections, and ends the waits for a NameNode that can do a call."""
        self._closed.set()
        for pool in self._pools:
            pool.close()

    def impatient(self) -> NameNodeClient:
        """Returns a client that waits for nobody, over the same connections: for who wants to know how things are."""
        client = copy.copy(self)
        client._patience = Patience(limit_s=0, ceiling_s=_SLOW_S)
        client._outages = Outages(client._patience, self._waits.clock)
        return client

    def each(self) -> tuple[NameNodeClient, ...]:
        """Returns a client for every single NameNode, in the order given, as `impatient` does."""
        return tuple(map(self._only, self._pools))

    def _only(self, pool: RpcPool) -> NameNodeClient:
        client = self.impatient()
        client._pools, client._active = (pool,), 0
        return client

    def get_service_state(self) -> ServiceState:
        """Returns what the NameNode that is asked does; of several it would be the first that answers: see `each`."""
        body = self._call("getHAServiceState", service_state_pb2.HAServiceStateRequestProto())
        return ServiceState(service_state_pb2.HAServiceStateResponseProto.FromString(body).state)

    def get_file_info(self, path: str) -> ListedEntryProto | None:
        """Returns what the NameNode knows of one path, without locations; None if there is nothing.

        Raises:
            BlockferryError: ACCESS_DENIED, NAMENODE_UNAVAILABLE, ... as all calls here.
        """
        body = self._call("getFileInfo", namenode_pb2.GetFileInfoRequestProto(src=path), path)
        answer = listing_pb2.EntryAnswerProto.FromString(body)
        return answer.fs if answer.HasField("fs") else None

    def get_located_file_info(self, path: str) -> ListedEntryProto | None:
        """Returns what the NameNode knows of one path, of a file also where its blocks are, with tokens; None if there
        is nothing.

        One call (`getLocatedFileInfo`). A NameNode that is too old to know it is asked `getFileInfo` and
        `getBlockLocations` from then on; the latter raises ACCESS_DENIED for a file that we may not read.
        """
        if self._locates:
            request = namenode_pb2.GetLocatedFileInfoRequestProto(src=path, needBlockToken=True)
            try:
                body = self._call("getLocatedFileInfo", request, path)
            except BlockferryError as error:
                if error.coordinates.get("java_class") != _NO_SUCH_METHOD:
                    raise
                self._locates = False
            else:
                answer = listing_pb2.EntryAnswerProto.FromString(body)
                # A router knows folders that consist of nothing but mounts by getFileInfo alone.
                return answer.fs if answer.HasField("fs") else self.get_file_info(path)
        entry = self.get_file_info(path)
        if entry is not None and entry.fileType == _FILE:
            entry.locations = self.get_block_locations(path, entry.length) or b""
        return entry

    def listing_frame(self, path: str, start_after: bytes, need_location: bool = True) -> bytes:
        """Returns one page of a folder as the bytes of a GetListingResponseProto: about 1,000 entries (dfs.ls.limit),
        fewer where they have many blocks. Parsing is left to the caller, so that threads can fetch ahead.

        Args:
            start_after: the last name of the page before, UTF-8; need not exist. Empty: from the begin.
        """
        request = namenode_pb2.GetListingRequestProto(src=path, startAfter=start_after, needLocation=need_location)
        return self._call("getListing", request, path)

    def get_block_locations(self, path: str, size_bytes: int) -> bytes | None:
        """Returns the serialised LocatedBlocksProto, with tokens, of a file's first `size_bytes`; None without file.

        Raises:
            BlockferryError: NOT_FOUND, ACCESS_DENIED.
        """
        request = namenode_pb2.GetBlockLocationsRequestProto(src=path, offset=0, length=size_bytes)
        body = self._call("getBlockLocations", request, path)
        answer = listing_pb2.LocationsAnswerProto.FromString(body)
        return answer.locations if answer.HasField("locations") else None

    def get_server_defaults(self) -> FsServerDefaultsProto:
        """Returns the cluster's defaults: block size, chunk size, checksum type."""
        body = self._call("getServerDefaults", namenode_pb2.GetServerDefaultsRequestProto())
        return namenode_pb2.GetServerDefaultsResponseProto.FromString(body).serverDefaults

    def get_content_summary(self, path: str) -> ContentSummaryProto:
        """Returns how many files, folders and bytes are below a path. The NameNode walks the tree for it."""
        body = self._call("getContentSummary", namenode_pb2.GetContentSummaryRequestProto(path=path), path)
        return namenode_pb2.GetContentSummaryResponseProto.FromString(body).summary

    def get_live_datanodes(self) -> tuple[DatanodeInfoProto, ...]:
        """Returns the DataNodes that the NameNode holds alive. Raises ACCESS_DENIED where only superusers may ask."""
        body = self._call("getDatanodeReport", namenode_pb2.GetDatanodeReportRequestProto(type=_LIVE))
        return tuple(namenode_pb2.GetDatanodeReportResponseProto.FromString(body).di)

    def report_bad_blocks(self, block: LocatedBlockProto) -> None:
        """Tells the NameNode that the replicas in `block.locs` are corrupt; it replaces them by good copies.

        Waits for no NameNode: whoever reports has good bytes already, and the next reader reports again.
        """
        self.impatient()._call("reportBadBlocks", namenode_pb2.ReportBadBlocksRequestProto(blocks=[block]))

    def get_data_encryption_key(self) -> DataEncryptionKeyProto | None:
        """Returns a key for connections to DataNodes; None where the cluster does not encrypt its transfer."""
        body = self._call("getDataEncryptionKey", security_pb2.GetDataEncryptionKeyRequestProto())
        answer = security_pb2.GetDataEncryptionKeyResponseProto.FromString(body)
        return answer.dataEncryptionKey if answer.HasField("dataEncryptionKey") else None

    def get_delegation_token(self, renewer: str) -> Token | None:
        """Returns a token that stands for our login; it has no service yet. None where the cluster has no security.

        Args:
            renewer: short name of who may renew it.

        Raises:
            BlockferryError: also where we are logged in by a token ourselves.
        """
        body = self._call("getDelegationToken", security_pb2.GetDelegationTokenRequestProto(renewer=renewer))
        answer = security_pb2.GetDelegationTokenResponseProto.FromString(body)
        return token_of(answer.token) if answer.HasField("token") else None

    def renew_delegation_token(self, token: Token) -> float:
        """Lets a token live longer; returns when it ends, in seconds since 1970 UTC."""
        body = self._call("renewDelegationToken", security_pb2.RenewDelegationTokenRequestProto(token=token.proto))
        return security_pb2.RenewDelegationTokenResponseProto.FromString(body).newExpiryTime / 1000

    def cancel_delegation_token(self, token: Token) -> None:
        """Ends a token."""
        self._call("cancelDelegationToken", security_pb2.CancelDelegationTokenRequestProto(token=token.proto))

    def _call(self, method: str, request: Message, path: str = "") -> bytes:
        """Asks the NameNode that answered last; when it cannot, waits for one that can (see `active`)."""
        active = self._active
        failure = None
        if active is not None:
            try:
                body = self._pools[active].call(method, request, path)
            except BlockferryError as error:
                if is_about_call(error):
                    self._answered = True
                    raise
                failure = error
                self._forget(active)
            else:
                self._answered = True
                self._outages.ended(method)
                return body
        body = self._searched(method, request, path, failure)
        self._outages.ended(method)
        return body

    def _forget(self, active: int) -> None:
        """Has the next calls ask every NameNode, so that none of them waits for one that hangs."""
        if len(self._pools) > 1 and self._active == active:
            self._active = None

    def _searched(self, method: str, request: Message, path: str, failure: BlockferryError | None) -> bytes:
        """Returns the body of the answer of whoever can do the call. `failure` is that of the one that was active."""
        search = ActiveSearch(
            tuple(partial(pool.call, method, request, path) for pool in self._pools),
            is_about_call,
            self._patience.ceiling_s,
        )
        lasted_s = 0.0

        def may_wait(failures: tuple[BlockferryError, ...]) -> bool:
            nonlocal lasted_s
            self._answered = self._answered or any("java_class" in each.coordinates for each in failures)
            lasted_s, is_within = self._outages.failed(method)
            return is_within and self._answered and can_pass(failures)

        just_asked = (failure,) if failure is not None and len(self._pools) == 1 else ()
        try:
            body = found(search, self._waits, self._patience, may_wait, just_asked)
        finally:
            if search.answered_by is not None:
                self._active, self._answered = search.answered_by, True
        if body is None:
            silent = tuple(self._pools[index].server.address for index in search.silent)
            raise unable(search.failures or just_asked, lasted_s, silent)
        return body
