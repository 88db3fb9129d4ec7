"""NameNodes that a healthy cluster does not show: Kerberos only, standby, hung, garbled. Real sockets, scripted."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.namenode import NameNodeClient
from stores.hdfs.rpc.patience import Patience
from stores.hdfs.rpc.rpc_connection import RpcConnection, server_of
from stores.hdfs.wire.listing_pb2 import EntryAnswerProto, ListedEntryProto, LocationsAnswerProto
from tests.support.processes import wait_for
from tests.support.scripted_namenode import STANDBY, Respond, ScriptedNameNode, failed, in_turn, nothing_there, says

IMPATIENT = Patience(limit_s=0)
_DENIED = "org.apache.hadoop.security.AccessControlException"


@contextmanager
def serving(*responds: Respond, timeout_s: float = 5) -> Iterator[tuple[NameNodeClient, list[ScriptedNameNode]]]:
    servers = [ScriptedNameNode(respond) for respond in responds]
    client = NameNodeClient(tuple(server.address for server in servers), "alice", timeout_s, patience=IMPATIENT)
    with closing(client):
        yield client, servers
    for server in servers:
        server.listener.close()


def wait_until_asked(server: ScriptedNameNode) -> None:
    """At first contact all are asked at once: the answer of another one may come before this one was asked."""
    wait_for("the question to come", lambda: server.call_count == 1)


def refusal(client: NameNodeClient) -> BlockferryError:
    with pytest.raises(BlockferryError) as error:
        client.get_file_info("/x")
    return error.value


def test_a_cluster_with_kerberos_is_told() -> None:
    said = "SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]"
    with serving(failed("org.apache.hadoop.security.AccessControlException", said, status=2)) as (client, servers):
        error = refusal(client)
        assert (error.reason, error.whose, error.retryable) == ("AUTHENTICATION_REQUIRED", Whose.CALLER, False)
        assert "Kerberos" in error.message
        refusal(client)
        assert servers[0].connection_count == 2  # after a fatal answer the connection is of no use


@pytest.mark.parametrize("word", [b"", b"no frame", failed(_DENIED, "Kerberos only", status=2)(0)])
def test_what_a_server_said_before_it_broke_the_connection_is_heard(word: bytes) -> None:
    """A server that takes nobody by name alone refuses the connection, and may have closed it before the call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        connection = RpcConnection(server_of(address, "protocol", "alice"), 5)
        server, _ = listener.accept()
        server.sendall(word)
        server.shutdown(socket.SHUT_WR)
        connection._socket.shutdown(socket.SHUT_WR)  # as after the other's reset: what is sent breaks
        with server, closing(connection):
            if word.endswith(b"Kerberos only"):
                assert connection.call("getFileInfo", EntryAnswerProto(), 5).message == "Kerberos only"
            else:
                with pytest.raises(BrokenPipeError):
                    connection.call("getFileInfo", EntryAnswerProto(), 5)


def test_a_standby_leads_to_the_active_one_which_is_then_asked_first() -> None:
    with serving(STANDBY, nothing_there) as (client, servers):
        assert client.get_file_info("/x") is None
        wait_until_asked(servers[0])
        assert client.get_file_info("/x") is None
        assert [(server.connection_count, server.call_count) for server in servers] == [(1, 1), (1, 2)]


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
    with serving(STANDBY, in_turn(nothing_there, denied)) as (client, servers):
        client.get_file_info("/x")
        wait_until_asked(servers[0])
        assert refusal(client).reason == "ACCESS_DENIED"
        assert servers[0].call_count == 1


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


def test_a_host_that_drops_connections_is_told_with_the_time_that_it_had() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(4):  # more than the kernel keeps for who never accepts
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        address = f"127.0.0.1:{full.getsockname()[1]}"
        with closing(NameNodeClient((address,), "alice", timeout_s=30, connect_s=0.3)) as client:
            error = refusal(client)
    assert (error.reason, error.retryable) == ("NAMENODE_UNAVAILABLE", True)
    assert "did not take the connection within 0.3 s" in error.message
    assert "firewall" in error.message


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
