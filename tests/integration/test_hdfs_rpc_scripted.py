"""NameNodes that a healthy cluster does not show: Kerberos only, standby, hung, garbled. Real sockets, scripted."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from google.protobuf.message import Message

from blockferry.errors import BlockferryError, Whose
from stores.hdfs import rpc_frame
from stores.hdfs.namenode import NameNodeClient
from stores.hdfs.wire import rpc_pb2
from stores.hdfs.wire.listing_pb2 import EntryAnswerProto, ListedEntryProto, LocationsAnswerProto
from stores.hdfs.wire.namenode_pb2 import GetFileInfoResponseProto

Respond = Callable[[int], bytes | None]  # number of the call on its connection -> bytes to send; None: hang up


def delimited(body: bytes) -> bytes:
    return rpc_frame.varint(len(body)) + body


def framed(header: rpc_pb2.RpcResponseHeaderProto, body: bytes = b"") -> bytes:
    whole = delimited(header.SerializeToString()) + body
    return len(whole).to_bytes(4, "big") + whole


def failed(class_name: str, text: str, status: int = 1) -> Respond:
    def respond(call_id: int) -> bytes:
        header = rpc_pb2.RpcResponseHeaderProto(
            callId=call_id if status == 1 else 2**32 - 1, status=status, exceptionClassName=class_name, errorMsg=text
        )
        return framed(header)

    return respond


def nothing_there(call_id: int) -> bytes:
    header = rpc_pb2.RpcResponseHeaderProto(callId=call_id, status=0)
    return framed(header, delimited(GetFileInfoResponseProto().SerializeToString()))


def in_turn(*responds: Respond) -> Respond:
    """Answers the calls of one connection one after the other."""
    return lambda call_id: responds[call_id](call_id)


def says(message: Message) -> Respond:
    return lambda call_id: framed(
        rpc_pb2.RpcResponseHeaderProto(callId=call_id, status=0), delimited(message.SerializeToString())
    )


class ScriptedNameNode:
    """Answers the calls of each connection by `respond`."""

    def __init__(self, respond: Respond) -> None:
        self.respond = respond
        self.connection_count = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connection_count += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError), connection, connection.makefile("rb") as stream:
            stream.read(7)
            stream.read(int.from_bytes(stream.read(4), "big"))
            for call_id in itertools.count():
                frame = stream.read(int.from_bytes(stream.read(4), "big"))
                answer = self.respond(call_id) if frame else None
                if answer is None:
                    return
                connection.sendall(answer)


@contextmanager
def serving(*responds: Respond, timeout_s: float = 5) -> Iterator[tuple[NameNodeClient, list[ScriptedNameNode]]]:
    servers = [ScriptedNameNode(respond) for respond in responds]
    client = NameNodeClient(tuple(server.address for server in servers), "alice", timeout_s)
    with closing(client):
        yield client, servers
    for server in servers:
        server.listener.close()


def refusal(client: NameNodeClient) -> BlockferryError:
    with pytest.raises(BlockferryError) as error:
        client.get_file_info("/x")
    return error.value


STANDBY = failed("org.apache.hadoop.ipc.StandbyException", "Operation category READ is not supported in state standby")


def test_a_cluster_with_kerberos_is_told() -> None:
    said = "SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]"
    with serving(failed("org.apache.hadoop.security.AccessControlException", said, status=2)) as (client, servers):
        error = refusal(client)
        assert (error.reason, error.whose, error.retryable) == ("AUTHENTICATION_REQUIRED", Whose.CALLER, False)
        assert "Kerberos" in error.message
        refusal(client)
        assert servers[0].connection_count == 2  # after a fatal answer the connection is of no use


def test_a_standby_leads_to_the_active_one_which_is_then_asked_first() -> None:
    with serving(STANDBY, nothing_there) as (client, servers):
        assert client.get_file_info("/x") is None
        assert client.get_file_info("/x") is None
        assert [server.connection_count for server in servers] == [1, 1]


def test_an_old_namenode_is_asked_twice_and_once_only_for_what_it_does_not_know() -> None:
    unknown = failed("org.apache.hadoop.ipc.RpcNoSuchMethodException", "Unknown method getLocatedFileInfo called")
    entry = ListedEntryProto(
        fileType=2, path=b"", length=5, permission=b"", owner="o", group="g", modification_time=1, access_time=2
    )
    info, places = says(EntryAnswerProto(fs=entry)), says(LocationsAnswerProto(locations=b"there"))
    with serving(in_turn(unknown, info, places, info, places)) as (client, servers):
        for _ in range(2):
            found = client.get_located_file_info("/x")
            assert found is not None
            assert (found.length, found.locations) == (5, b"there")
        assert servers[0].connection_count == 1


def test_a_cluster_of_standbys_is_unavailable_and_each_is_named() -> None:
    with serving(STANDBY, STANDBY) as (client, servers):
        error = refusal(client)
        assert (error.reason, error.retryable) == ("NAMENODE_UNAVAILABLE", True)
        assert all(server.address in error.message for server in servers)


def test_a_refusal_of_the_active_one_is_not_asked_elsewhere() -> None:
    denied = failed("org.apache.hadoop.security.AccessControlException", "Permission denied: user=alice")
    with serving(denied, nothing_there) as (client, servers):
        assert refusal(client).reason == "ACCESS_DENIED"
        assert servers[1].connection_count == 0


def test_a_namenode_that_hangs_is_given_up_at_the_deadline() -> None:
    hanging = threading.Event()

    def hang(call_id: int) -> None:
        hanging.wait(30)

    with serving(hang, timeout_s=0.3) as (client, servers):
        error = refusal(client)
        hanging.set()
    assert (error.reason, error.retryable) == ("NAMENODE_UNAVAILABLE", True)
    assert "0.3 s" in error.message
    assert error.coordinates["host"] == servers[0].address


def test_a_connection_that_breaks_between_calls_is_replaced() -> None:
    with serving(lambda call_id: nothing_there(call_id) if call_id == 0 else None) as (client, servers):
        for _ in range(3):
            assert client.get_file_info("/x") is None
        assert servers[0].connection_count == 3


def test_a_namenode_that_always_hangs_up_can_be_tried_again() -> None:
    with serving(lambda call_id: None) as (client, _):
        error = refusal(client)
    assert (error.reason, error.retryable) == ("NAMENODE_UNAVAILABLE", True)


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x02\xff\xff", bytes(64)])
def test_another_protocol_is_told(garbage: bytes) -> None:
    with serving(lambda call_id: garbage) as (client, _):
        error = refusal(client)
    assert (error.reason, error.whose, error.retryable) == ("NAMENODE_INCOMPATIBLE", Whose.CALLER, False)


def test_the_answer_to_another_call_is_never_taken() -> None:
    with serving(lambda call_id: nothing_there(call_id + 1)) as (client, _):
        assert refusal(client).reason == "NAMENODE_INCOMPATIBLE"


@pytest.mark.parametrize("address", ["", ":8020", "host:", "host:port", "host:0", "host:70000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BlockferryError) as error:
        NameNodeClient((address,), "alice")
    assert error.value.reason == "INVALID_NAMENODE"


def test_addresses_have_a_usual_port() -> None:
    client = NameNodeClient(("nn1", "nn2:9000", "[::1]:9001", "[::1]"), "alice")
    assert client.addresses == (("nn1", 8020), ("nn2", 9000), ("::1", 9001), ("::1", 8020))


def test_calls_run_side_by_side_over_a_bounded_number_of_connections() -> None:
    together = threading.Barrier(3, timeout=10)

    def respond(call_id: int) -> bytes:
        together.wait()
        return nothing_there(call_id)

    server = ScriptedNameNode(respond)
    with closing(NameNodeClient((server.address,), "alice", 15, connection_count=3)) as client:
        threads = [threading.Thread(target=client.get_file_info, args=("/x",)) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    server.listener.close()
    assert server.connection_count == 3
