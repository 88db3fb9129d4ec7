"""Calls while a cluster fails over: how long they wait, for whom, and what they say in the end.

Scripted NameNodes and a clock of our own, so that no test waits for real time but where a NameNode hangs.
"""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest

from blockferry.errors import BlockferryError
from stores.hdfs.namenode import NameNodeClient
from stores.hdfs.rpc.active import Waits
from stores.hdfs.rpc.patience import Patience
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.scripted_namenode import STANDBY, Respond, ScriptedNameNode, failed, nothing_there

BUSY = failed("org.apache.hadoop.ipc.RetriableException", "NameNode still not started")
SAFE_MODE = failed("org.apache.hadoop.hdfs.server.namenode.SafeModeException", "Zero blocklocations for /x.")
OBSERVER = failed(
    "org.apache.hadoop.ipc.ObserverRetryOnActiveException", "Zero blocklocations for /x, retry on the active"
)
OBSERVER_WITHOUT_STATE = failed(
    "org.apache.hadoop.ipc.StandbyException", "Observer Node received request without stateId."
)
ROUTER = failed(
    "org.apache.hadoop.hdfs.server.federation.router.RouterSafeModeException", "Router x is in safe mode and cannot"
)
NO_SUBCLUSTER = failed("java.net.ConnectException", "No namenode available to invoke getFileInfo [/x] in [ns1:nn1]")
PATIENCE = Patience(limit_s=90, base_s=0.2, ceiling_s=5)


@dataclass
class OwnTime:
    """A clock that only sleeping moves."""

    now_s: float = 1000.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> bool:
        self.now_s += seconds
        self.pauses.append(seconds)
        return False

    @property
    def waits(self) -> Waits:
        return Waits(lambda: self.now_s, self.sleep, lambda: 0.5)


@contextmanager
def cluster(
    *responds: Respond,
    time: OwnTime | None = None,
    patience: Patience = PATIENCE,
    dead_count: int = 0,
    timeout_s: float = 5,
) -> Iterator[tuple[NameNodeClient, Sequence[ScriptedNameNode]]]:
    """Starts NameNodes, after `dead_count` addresses at which nobody listens."""
    dead = tuple(f"127.0.0.1:{port}" for port in free_ports(dead_count)) if dead_count else ()
    servers = [ScriptedNameNode(respond) for respond in responds]
    addresses = (*dead, *(server.address for server in servers))
    waits = time.waits if time else None
    try:
        with closing(NameNodeClient(addresses, "alice", timeout_s, patience=patience, waits=waits)) as client:
            yield client, servers
    finally:
        for server in servers:
            server.listener.close()


def after(count: int, first: Respond, then: Respond) -> Respond:
    """Answers so many calls in one way, and all others in another."""
    lock, left = threading.Lock(), [count]

    def respond(call_id: int) -> bytes | None:
        with lock:
            left[0] -= 1
            is_first = left[0] >= 0
        return first(call_id) if is_first else then(call_id)

    return respond


def refusal(client: NameNodeClient) -> BlockferryError:
    with pytest.raises(BlockferryError) as error:
        client.get_file_info("/x")
    return error.value


@pytest.mark.parametrize(
    "inability", [STANDBY, BUSY, SAFE_MODE, OBSERVER, OBSERVER_WITHOUT_STATE, ROUTER, NO_SUBCLUSTER], ids=lambda _: ""
)
@pytest.mark.parametrize("others", [(), (STANDBY,), (OBSERVER_WITHOUT_STATE, STANDBY)], ids=len)
def test_a_call_waits_until_a_namenode_can_do_it(inability: Respond, others: tuple[Respond, ...]) -> None:
    time = OwnTime()
    with cluster(after(6, inability, nothing_there), *others, time=time) as (client, servers):
        assert client.get_file_info("/x") is None
        assert servers[0].call_count == 7
        pauses = list(time.pauses)
        for _ in range(5):
            assert client.get_file_info("/x") is None
        assert servers[0].call_count == 12
        assert all(server.call_count <= 7 for server in servers[1:]), "it is known who can"
    assert pauses == sorted(pauses)
    assert time.pauses == pauses
    assert all(pause <= PATIENCE.ceiling_s for pause in pauses)


def test_pauses_grow_to_the_ceiling_and_end_at_the_limit() -> None:
    time = OwnTime()
    with cluster(STANDBY, STANDBY, time=time) as (client, servers):
        error = refusal(client)
    assert (error.reason, error.retryable) == ("NAMENODE_UNAVAILABLE", True)
    assert all(server.address in error.message for server in servers)
    lasted_s = sum(time.pauses)
    assert PATIENCE.limit_s <= lasted_s <= PATIENCE.limit_s + PATIENCE.ceiling_s
    assert error.coordinates["waited_s"] == f"{lasted_s:.0f}"
    assert f"lasted for {lasted_s:.0f} s, which is as long as calls wait" in error.message
    assert time.pauses[:4] == pytest.approx([0.15, 0.3, 0.6, 1.2])
    assert max(time.pauses) == pytest.approx(3.75)


def test_who_asks_again_in_the_same_outage_does_not_wait_again() -> None:
    time = OwnTime()
    with cluster(STANDBY, time=time) as (client, servers):
        waited_s = int(refusal(client).coordinates["waited_s"])
        pauses, asked = len(time.pauses), servers[0].call_count
        time.now_s += 20  # a retry further up
        assert int(refusal(client).coordinates["waited_s"]) == pytest.approx(waited_s + 20, abs=1)
        assert len(time.pauses) == pauses
        assert servers[0].call_count == asked + 1
        servers[0].respond = nothing_there
        client.get_file_info("/x")
        servers[0].respond = after(3, STANDBY, nothing_there)
        client.get_file_info("/x")  # another outage: it is waited for
        assert len(time.pauses) == pauses + 3


def test_an_outage_of_which_nobody_asked_for_long_is_news() -> None:
    time = OwnTime()
    with cluster(STANDBY, time=time) as (client, servers):
        refusal(client)
        time.now_s += 2 * PATIENCE.limit_s
        servers[0].respond = after(3, STANDBY, nothing_there)
        client.get_file_info("/x")


def test_other_calls_that_are_possible_do_not_lengthen_the_wait_for_one_that_is_not() -> None:
    time = OwnTime()
    with cluster(after(10**9, SAFE_MODE, nothing_there), time=time) as (client, servers):
        refusal(client)
        pauses = len(time.pauses)
        servers[0].respond = nothing_there
        client.listing_frame("/x", b"")
        servers[0].respond = SAFE_MODE
        error = refusal(client)
    assert error.reason == "NAMENODE_SAFE_MODE"
    assert len(time.pauses) == pauses


def test_who_wants_to_know_how_things_are_waits_for_nobody() -> None:
    time = OwnTime()
    with cluster(nothing_there, STANDBY, time=time) as (client, servers):
        client.get_file_info("/x")
        servers[0].respond = STANDBY
        assert refusal(client.impatient()).reason == "NAMENODE_UNAVAILABLE"
    assert time.pauses == []


@pytest.mark.parametrize("dead_count", [1, 2])
def test_a_cluster_that_never_answered_is_not_waited_for(dead_count: int) -> None:
    time = OwnTime()
    with cluster(time=time, dead_count=dead_count) as (client, _):
        error = refusal(client)
    assert (error.reason, error.retryable, time.pauses) == ("NAMENODE_UNAVAILABLE", True, [])
    assert "refuses the connection" in error.message


def test_a_cluster_that_has_answered_is_waited_for_when_nobody_listens_any_more() -> None:
    time = OwnTime()
    with cluster(nothing_there, time=time) as (client, servers):
        client.get_file_info("/x")
        servers[0].stop()
        error = refusal(client)
    assert error.reason == "NAMENODE_UNAVAILABLE"
    assert sum(time.pauses) >= PATIENCE.limit_s


def test_a_name_that_is_unknown_for_a_while_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    time = OwnTime()
    with cluster(nothing_there, time=time) as (client, servers):
        client.get_file_info("/x")
        servers[0].hang_up()
        connect, fails = socket.create_connection, iter([True] * 6)

        def unresolved(address: tuple[str, int], timeout: float) -> socket.socket:
            if next(fails, False):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return connect(address, timeout)

        monkeypatch.setattr(socket, "create_connection", unresolved)
        assert client.get_file_info("/x") is None
    assert len(time.pauses) == 6


def test_a_dead_namenode_of_two_costs_no_pause() -> None:
    time = OwnTime()
    with cluster(nothing_there, time=time, dead_count=1) as (client, servers):
        for _ in range(3):
            assert client.get_file_info("/x") is None
        assert servers[0].call_count == 3
    assert time.pauses == []


def test_what_needs_help_is_not_waited_for() -> None:
    time = OwnTime()
    kerberos = failed("org.apache.hadoop.security.AccessControlException", "SIMPLE authentication is not enabled.", 2)
    with cluster(kerberos, STANDBY, time=time) as (client, _):
        assert refusal(client).reason == "AUTHENTICATION_REQUIRED"
    with cluster(lambda call_id: b"HTTP/1.1 400 Bad Request\r\n\r\n", STANDBY, time=time) as (client, _):
        assert refusal(client).reason == "NAMENODE_INCOMPATIBLE"
    assert time.pauses == []


def test_the_safe_mode_of_the_active_one_is_told_rather_than_the_standby() -> None:
    with cluster(STANDBY, SAFE_MODE, time=OwnTime()) as (client, _):
        assert refusal(client).reason == "NAMENODE_SAFE_MODE"


def test_a_namenode_that_hangs_keeps_nobody_waiting_at_first_contact() -> None:
    hanging = threading.Event()

    def hang(call_id: int) -> None:
        hanging.wait(60)

    with cluster(hang, nothing_there, timeout_s=60) as (client, servers):
        for _ in range(20):  # within the time limit of the first question
            assert client.get_file_info("/x") is None
        assert not hanging.is_set()
        assert servers[1].call_count == 20
        hanging.set()


def test_a_standby_that_becomes_active_is_found_while_the_old_one_hangs() -> None:
    hanging = threading.Event()

    def hang(call_id: int) -> None:
        hanging.wait(60)

    patience = Patience(limit_s=60, base_s=0.01, ceiling_s=0.05)
    with cluster(nothing_there, STANDBY, patience=patience, timeout_s=3) as (client, servers):
        assert client.get_file_info("/x") is None
        servers[0].respond, servers[1].respond = hang, after(3, STANDBY, nothing_there)
        assert client.get_file_info("/x") is None
        wait_for("the old one to be asked", lambda: servers[0].call_count > 1)  # the other's answer may come before
        asked = servers[0].call_count
        for _ in range(5):
            assert client.get_file_info("/x") is None
        assert servers[0].call_count == asked
        hanging.set()


def test_closing_ends_every_wait() -> None:
    asked = threading.Event()

    def standby(call_id: int) -> bytes | None:
        asked.set()
        return STANDBY(call_id)

    errors: list[BlockferryError] = []
    with cluster(standby, patience=Patience(3600, 3600, 3600)) as (client, _):
        thread = threading.Thread(target=lambda: errors.append(refusal(client)))
        thread.start()
        assert asked.wait(10)
        client.close()
        thread.join(10)
    assert [error.reason for error in errors] == ["NAMENODE_STANDBY"]


def test_a_fault_of_ours_in_a_search_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster(nothing_there, nothing_there) as (client, _):
        monkeypatch.setattr("stores.hdfs.rpc.pool.rpc_frame.answer", lambda frame: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            client.get_file_info("/x")
