"""What is an answer, what is only a NameNode that cannot do calls, and what is said when none can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.hdfs.rpc.active import Outages
from stores.hdfs.rpc.inability import can_pass, is_about_call, unable
from stores.hdfs.rpc.patience import Patience
from stores.hdfs.rpc.remote_errors import remote_error

STANDBY = "org.apache.hadoop.ipc.StandbyException"
SAFE_MODE = "org.apache.hadoop.hdfs.server.namenode.SafeModeException"
DENIED = "org.apache.hadoop.security.AccessControlException"


def said(class_name: str, host: str = "nn1:8020") -> BlockferryError:
    return remote_error(class_name, "text", "getListing", host, "/x")


def local(reason: str, retryable: bool, host: str = "nn2:8020") -> BlockferryError:
    return BlockferryError(reason, f"{host} {reason}.", retryable=retryable, host=host)


@pytest.mark.parametrize(
    ("error", "is_answer"),
    [
        (said(DENIED), True),
        (said("java.io.FileNotFoundException"), True),
        (said("org.apache.hadoop.ipc.RpcNoSuchMethodException"), True),
        (said("com.example.Odd"), True),
        (said(STANDBY), False),
        (said(SAFE_MODE), False),
        (said("org.apache.hadoop.ipc.RetriableException"), False),
        (said("java.net.ConnectException"), False),
        (said("javax.security.sasl.SaslException"), False),
        (local("NAMENODE_UNAVAILABLE", True), False),
        (local("NAMENODE_INCOMPATIBLE", False), False),
        (local("KEYTAB_REFUSED", False), False),
    ],
)
def test_an_answer_is_what_every_namenode_would_say(error: BlockferryError, is_answer: bool) -> None:
    assert is_about_call(error) is is_answer


def test_waiting_helps_only_where_nothing_needs_help() -> None:
    standby, dead = said(STANDBY), local("NAMENODE_UNAVAILABLE", True)
    unknown, refused = local("HOST_UNKNOWN", False), local("KEYTAB_REFUSED", False)
    assert can_pass((standby,)) and can_pass((standby, dead)) and can_pass((standby, unknown)) and can_pass((unknown,))
    assert not can_pass((standby, refused))


def test_several_failures_are_one_sentence_each() -> None:
    error = unable((said(STANDBY), local("NAMENODE_UNAVAILABLE", True)), 93.4, ("nn3:8020",))
    assert (error.reason, error.retryable) == ("NAMENODE_UNAVAILABLE", True)
    assert error.coordinates["host"] == "nn1:8020,nn2:8020,nn3:8020"
    assert error.coordinates["waited_s"] == "93"
    assert "nn2:8020 NAMENODE_UNAVAILABLE." in error.message
    assert "nn3:8020 has not answered yet." in error.message
    assert "lasted for 93 s" in error.message


@pytest.mark.parametrize("telling", [said(SAFE_MODE), local("KEYTAB_REFUSED", False)])
def test_the_failure_that_says_most_is_the_error(telling: BlockferryError) -> None:
    reason = telling.reason
    assert unable((said(STANDBY), telling), 0).reason == reason
    assert unable((telling, said(STANDBY)), 0).reason == reason


@given(st.lists(st.tuples(st.floats(0, 200), st.booleans()), max_size=30))
def test_an_outage_is_waited_for_once(steps: list[tuple[float, bool]]) -> None:
    now_s = 0.0
    outages = Outages(Patience(limit_s=90), lambda: now_s)
    begun_s, last_s = None, 0.0
    for pause_s, is_possible in steps:
        now_s += pause_s
        if is_possible:
            outages.ended("getListing")
            begun_s = None
            continue
        if begun_s is None or now_s - last_s > 90:
            begun_s = now_s
        last_s = now_s
        assert outages.failed("getListing") == (now_s - begun_s, now_s - begun_s < 90)


def test_without_patience_nothing_is_waited_for() -> None:
    assert Outages(Patience(limit_s=0), lambda: 5.0).failed("getListing") == (0, False)
