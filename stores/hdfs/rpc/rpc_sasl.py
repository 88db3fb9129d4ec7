"""The SASL negotiation of Hadoop RPC: which frames go to the server, in answer to which of its own. PURE.

The client opens with NEGOTIATE and the server lists its ways to log in; the client picks one with INITIATE, then
CHALLENGE and RESPONSE take turns until SUCCESS. Where integrity or privacy was agreed on, all later frames go inside
WRAP. Facts of the wire: RpcHeader.proto, SaslRpcClient.java and Server.java of Hadoop 3.4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from google.protobuf.message import DecodeError

from stores.hdfs.rpc import rpc_frame
from stores.hdfs.rpc.rpc_frame import Answer, FrameError
from stores.hdfs.security.sasl import Mechanism
from stores.hdfs.wire.rpc_pb2 import RpcRequestHeaderProto, RpcSaslProto

CALL_ID = -33
SIMPLE = "SIMPLE"


class State(IntEnum):
    """What a frame of the negotiation is for."""

    SUCCESS = 0
    NEGOTIATE = 1
    INITIATE = 2
    CHALLENGE = 3
    RESPONSE = 4
    WRAP = 5


@dataclass(frozen=True, slots=True)
class Offer:
    """One way to log in that a server offers.

    Attributes:
        method: SIMPLE, KERBEROS or TOKEN.
        mechanism: SASL's name: GSSAPI or DIGEST-MD5.
        protocol, server_id: with GSSAPI the two parts of the server's principal.
        challenge: the first one, where the mechanism has the server begin.
        echo: the offer without its challenge as the server has sent it. It wants to see that again, and tells an empty
            field from one that is not there.
    """

    method: str
    mechanism: str
    protocol: str
    server_id: str
    challenge: bytes = b""
    echo: bytes = b""


@dataclass(frozen=True, slots=True)
class Choice:
    """The offer that is taken, and the mechanism that answers it."""

    offer: Offer
    mechanism: Mechanism


@dataclass(frozen=True, slots=True)
class Ending:
    """How a negotiation has ended. `choice` is None where it goes on with simple authentication; `last_frame`, if
    there is one, is to be sent and has no answer."""

    choice: Choice | None
    last_frame: bytes = b""


# Picks among a server's offers; None: simple authentication. Raises what the login raises.
Choose = Callable[[Sequence[Offer]], Choice | None]


def negotiation(choose: Choose) -> Generator[bytes, RpcSaslProto, Ending]:
    """Yields frames to send, takes the server's answers, and returns how it has ended.

    Raises:
        FrameError: the server's answer has no place here.
        SaslError: it has not proved itself.
        BlockferryError: what `choose` and the mechanism raise.
    """
    answer = yield _frame(RpcSaslProto(state=State.NEGOTIATE))
    if answer.state == State.SUCCESS:  # it knows nothing but simple authentication, not even tokens
        return Ending(None)
    if answer.state != State.NEGOTIATE:
        raise FrameError(f"the server began its login with state {answer.state}")
    offers = [_offer(auth) for auth in answer.auths]
    choice = choose(offers)
    if choice is None:
        auths = [_echo(offer) for offer in offers if offer.method == SIMPLE]
        return Ending(None, _frame(RpcSaslProto(state=State.INITIATE, auths=auths)))
    mechanism = choice.mechanism
    token = mechanism.respond(choice.offer.challenge)
    answer = yield _frame(RpcSaslProto(state=State.INITIATE, token=token, auths=[_echo(choice.offer)]))
    while answer.state == State.CHALLENGE:
        answer = yield _frame(RpcSaslProto(state=State.RESPONSE, token=mechanism.respond(answer.token)))
    if answer.state != State.SUCCESS:
        raise FrameError(f"the server ended its login with state {answer.state}")
    mechanism.finish(answer.token)
    return Ending(choice)


def wrapped(token: bytes) -> bytes:
    """Returns the frame that carries a protected frame."""
    return _frame(RpcSaslProto(state=State.WRAP, token=token))


def unwrapped(answer: Answer) -> bytes:
    """Returns the protected bytes that a frame carries. Raises FrameError when it carries none."""
    message = parse(answer)
    if message.state != State.WRAP:
        raise FrameError(f"a frame came unprotected (state {message.state})")
    return message.token


def parse(answer: Answer) -> RpcSaslProto:
    """Returns what a successful answer of the negotiation says. Raises FrameError."""
    if answer.call_id != CALL_ID % (1 << 32):
        raise FrameError(f"an answer to call {answer.call_id} came during the login")
    try:
        return RpcSaslProto.FromString(answer.body)
    except DecodeError as error:
        raise FrameError(f"no message of the login: {error}") from error


def _offer(auth: RpcSaslProto.SaslAuth) -> Offer:
    challenge = auth.challenge
    auth.ClearField("challenge")
    return Offer(auth.method, auth.mechanism, auth.protocol, auth.serverId, challenge, auth.SerializeToString())


def _echo(offer: Offer) -> RpcSaslProto.SaslAuth:
    return RpcSaslProto.SaslAuth.FromString(offer.echo)


def _frame(message: RpcSaslProto) -> bytes:
    header = RpcRequestHeaderProto(rpcKind=2, rpcOp=0, callId=CALL_ID, clientId=b"", retryCount=-1)
    return rpc_frame.frame(header, message)
