"""The negotiation of Hadoop RPC, frame by frame, without a socket."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest

from blockferry.errors import BlockferryError
from stores.hdfs.rpc import rpc_frame, rpc_sasl
from stores.hdfs.rpc.rpc_frame import Answer, FrameError, Status
from stores.hdfs.rpc.rpc_sasl import Choice, Ending, Offer, State, negotiation
from stores.hdfs.security.digest_login import DigestLogin
from stores.hdfs.security.gssapi_login import GssapiLayer, GssapiLogin
from stores.hdfs.security.libkrb5 import Krb5Error
from stores.hdfs.security.sasl import SaslError, choose
from stores.hdfs.wire.rpc_pb2 import RpcRequestHeaderProto, RpcSaslProto
from stores.location import Protection
from tests.unit.stores.hdfs.digest_vectors import ACCOUNT, CLIENT_NONCE, SESSIONS, Session

ALL = tuple(Protection)
SERVER = "the NameNode nn:8020"


def sent(frame: bytes) -> RpcSaslProto:
    """What a frame of ours says."""
    assert rpc_frame.frame_size(frame[:4]) == len(frame) - 4
    header_bytes = frame[4]
    header = RpcRequestHeaderProto.FromString(frame[5 : 5 + header_bytes])
    assert (header.callId, header.clientId) == (-33, b"")
    body = frame[5 + header_bytes :]
    size = next(index for index, byte in enumerate(body) if byte < 0x80) + 1
    return RpcSaslProto.FromString(body[size:])


def offered(session: Session) -> RpcSaslProto:
    auths = [
        RpcSaslProto.SaslAuth(
            method="TOKEN", mechanism="DIGEST-MD5", protocol="hdfs", serverId="0", challenge=session.challenge
        ),
        RpcSaslProto.SaslAuth(method="KERBEROS", mechanism="GSSAPI", protocol="nn", serverId="host"),
    ]
    return RpcSaslProto(state=State.NEGOTIATE, auths=auths)


def first(login: DigestLogin | GssapiLogin) -> rpc_sasl.Choose:
    def pick(offers: Sequence[Offer]) -> Choice:
        return Choice(offers[0 if isinstance(login, DigestLogin) else 1], login)

    return pick


def digest(accepted: tuple[Protection, ...] = ALL) -> DigestLogin:
    return DigestLogin(ACCOUNT, accepted, SERVER, lambda: CLIENT_NONCE)


@pytest.mark.parametrize("session", SESSIONS[:3], ids=lambda s: s.protection.value)
def test_a_login_by_token(session: Session) -> None:
    login = digest()
    steps = negotiation(first(login))
    assert sent(next(steps)) == RpcSaslProto(state=State.NEGOTIATE)
    begun = sent(steps.send(offered(session)))
    assert (begun.state, begun.token) == (State.INITIATE, session.response)
    assert [(auth.method, auth.mechanism, auth.challenge) for auth in begun.auths] == [("TOKEN", "DIGEST-MD5", b"")]
    with pytest.raises(StopIteration) as ended:
        steps.send(RpcSaslProto(state=State.SUCCESS, token=session.proof))
    assert ended.value.value.choice.mechanism is login
    assert login.protection is session.protection
    assert (login.layer is None) == (session.protection is Protection.AUTHENTICATION)


def test_a_server_without_the_tokens_password_is_not_believed() -> None:
    steps = negotiation(first(digest()))
    next(steps)
    steps.send(offered(SESSIONS[0]))
    with pytest.raises(SaslError, match="password"):
        steps.send(RpcSaslProto(state=State.SUCCESS, token=SESSIONS[1].proof))


class ScriptedContext:
    """The tokens of a context with a service, as they would come from GSSAPI; messages are shown instead of signed."""

    def __init__(self, layers: bytes = b"\x07\0\0\0") -> None:
        self.complete = False
        self.layers = layers

    def step(self, token: bytes = b"") -> bytes:
        if token == b"from another service":
            raise Krb5Error(0, "Wrong principal in request")
        self.complete = bool(token)
        return b"" if token else b"ticket"

    def wrap(self, message: bytes | memoryview, private: bool) -> bytes:
        return (b"sealed:" if private else b"signed:") + bytes(message)

    def unwrap(self, wrapped: bytes | memoryview) -> bytes:
        if wrapped == b"false":
            raise Krb5Error(0, "Message stream modified")
        return self.layers


@pytest.mark.parametrize(
    ("accepted", "layers", "answer", "protection"),
    [
        (ALL, b"\x07\0\xff\xff", b"signed:\x01\0\0\0", Protection.AUTHENTICATION),
        (ALL, b"\x06\0\xff\xff", b"signed:\x02\xff\xff\xff", Protection.INTEGRITY),
        (ALL[2:], b"\x07\0\xff\xff", b"signed:\x04\xff\xff\xff", Protection.PRIVACY),
        (
            (Protection.PRIVACY, Protection.INTEGRITY),
            b"\x03\0\xff\xff",
            b"signed:\x02\xff\xff\xff",
            Protection.INTEGRITY,
        ),
    ],
)
def test_a_login_by_kerberos(
    accepted: tuple[Protection, ...], layers: bytes, answer: bytes, protection: Protection
) -> None:
    login = GssapiLogin(ScriptedContext(layers), accepted, SERVER)
    steps = negotiation(first(login))
    next(steps)
    begun = sent(steps.send(offered(SESSIONS[0])))
    assert (begun.token, begun.auths[0].method, begun.auths[0].serverId) == (b"ticket", "KERBEROS", "host")
    assert sent(steps.send(RpcSaslProto(state=State.CHALLENGE, token=b"mutual"))) == RpcSaslProto(
        state=State.RESPONSE, token=b""
    )
    agreed = sent(steps.send(RpcSaslProto(state=State.CHALLENGE, token=b"layers")))
    assert (agreed.state, agreed.token) == (State.RESPONSE, answer)
    with pytest.raises(StopIteration):
        steps.send(RpcSaslProto(state=State.SUCCESS))
    assert login.protection is protection


def test_a_server_that_offers_less_is_refused() -> None:
    login = GssapiLogin(ScriptedContext(b"\x01\0\0\0"), (Protection.INTEGRITY, Protection.PRIVACY), SERVER)
    steps = negotiation(first(login))
    next(steps)
    steps.send(offered(SESSIONS[0]))
    steps.send(RpcSaslProto(state=State.CHALLENGE, token=b"mutual"))
    with pytest.raises(BlockferryError) as refusal:
        steps.send(RpcSaslProto(state=State.CHALLENGE, token=b"layers"))
    assert refusal.value.reason == "PROTECTION_REFUSED"
    assert "offers authentication, and the location accepts integrity, privacy" in refusal.value.message
    assert "hadoop.rpc.protection" in refusal.value.message


def test_success_before_the_proof_is_not_believed() -> None:
    steps = negotiation(first(GssapiLogin(ScriptedContext(), ALL, SERVER)))
    next(steps)
    steps.send(offered(SESSIONS[0]))
    with pytest.raises(SaslError, match="proved"):
        steps.send(RpcSaslProto(state=State.SUCCESS))


def test_a_context_that_fails_is_explained() -> None:
    steps = negotiation(first(GssapiLogin(ScriptedContext(), ALL, SERVER)))
    next(steps)
    steps.send(offered(SESSIONS[0]))
    with pytest.raises(BlockferryError, match="the login at the NameNode nn:8020 failed: Wrong principal"):
        steps.send(RpcSaslProto(state=State.CHALLENGE, token=b"from another service"))


def test_a_server_without_security_ends_the_negotiation_at_once() -> None:
    steps = negotiation(first(digest()))
    next(steps)
    with pytest.raises(StopIteration) as ended:
        steps.send(RpcSaslProto(state=State.SUCCESS))
    assert ended.value.value == Ending(None)


def test_a_server_that_knows_tokens_and_names_is_told_that_a_name_is_enough() -> None:
    """A cluster without security: TOKEN and SIMPLE. It sends no answer to that."""
    steps = negotiation(lambda offers: None)
    next(steps)
    offer = offered(SESSIONS[0])
    offer.auths.add(method="SIMPLE", mechanism="")
    with pytest.raises(StopIteration) as ended:
        steps.send(offer)
    assert ended.value.value.choice is None
    assert sent(ended.value.value.last_frame) == RpcSaslProto(
        state=State.INITIATE, auths=[RpcSaslProto.SaslAuth(method="SIMPLE", mechanism="")]
    )


def test_an_offer_goes_back_field_by_field_without_its_challenge() -> None:
    """The server compares: an empty field is another one than none."""
    offered = partial(RpcSaslProto.SaslAuth, method="TOKEN", mechanism="DIGEST-MD5")
    for auth in (offered(), offered(protocol=""), offered(protocol="", serverId="default")):
        steps = negotiation(first(digest()))
        next(steps)
        with_challenge = RpcSaslProto.SaslAuth(challenge=SESSIONS[0].challenge)
        with_challenge.MergeFrom(auth)
        begun = sent(steps.send(RpcSaslProto(state=State.NEGOTIATE, auths=[with_challenge])))
        assert list(begun.auths) == [auth]


@pytest.mark.parametrize("state", [State.CHALLENGE, State.WRAP, State.INITIATE, 77])
def test_a_server_that_begins_with_something_else_is_no_server(state: int) -> None:
    steps = negotiation(first(digest()))
    next(steps)
    with pytest.raises(FrameError):
        steps.send(RpcSaslProto(state=state))


def test_only_protected_frames_are_taken_afterwards() -> None:
    wrap = RpcSaslProto(state=State.WRAP, token=b"bytes").SerializeToString()
    plain = RpcSaslProto(state=State.SUCCESS, token=b"bytes").SerializeToString()
    call_id = (1 << 32) - 33
    assert rpc_sasl.unwrapped(Answer(call_id, Status.SUCCESS, wrap)) == b"bytes"
    for answer in (Answer(call_id, Status.SUCCESS, plain), Answer(5, Status.SUCCESS, wrap)):
        with pytest.raises(FrameError):
            rpc_sasl.unwrapped(answer)
    assert sent(rpc_sasl.wrapped(b"bytes")).token == b"bytes"


def test_what_was_changed_on_the_way_is_not_taken() -> None:
    with pytest.raises(SaslError):
        GssapiLayer(ScriptedContext(), private=True).unwrap(b"false")


def test_the_first_that_both_know_is_chosen() -> None:
    assert choose((Protection.PRIVACY, Protection.INTEGRITY), ALL, SERVER) is Protection.PRIVACY
    with pytest.raises(BlockferryError, match=r"dfs\.data\.transfer\.protection"):
        choose((Protection.PRIVACY,), (Protection.INTEGRITY,), "the DataNode dn:9866")
    with pytest.raises(BlockferryError, match=r"dfs\.encrypt\.data\.transfer"):
        choose((Protection.PRIVACY,), (), "the DataNode dn:9866")
