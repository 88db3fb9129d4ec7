"""What SASL is to Hadoop: a mechanism that proves both sides, then a layer that protects what is said. PURE.

Protections go by three names: Hadoop's, SASL's quality of protection (RFC 2831), and a bit of GSSAPI's (RFC 4752).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from blockferry.errors import BlockferryError, Whose
from stores.location import Protection

QOP = {Protection.AUTHENTICATION: "auth", Protection.INTEGRITY: "auth-int", Protection.PRIVACY: "auth-conf"}
LAYER_BIT = {Protection.AUTHENTICATION: 1, Protection.INTEGRITY: 2, Protection.PRIVACY: 4}


class SaslError(Exception):
    """What the other side sent is no valid step, or a message whose proof does not fit. Holds no secret."""


class Layer(Protocol):
    """Protects messages after the login. One direction's messages are numbered: each is wrapped or unwrapped once, in
    order."""

    def wrap(self, message: bytes) -> bytes:
        """Returns a message as it goes over the wire."""
        ...

    def unwrap(self, wrapped: bytes | bytearray) -> bytes:
        """Returns the message of what came. Raises SaslError when it is not genuine."""
        ...


class Mechanism(Protocol):
    """One login, from the client's side. `protection` and `layer` mean something when it is done."""

    @property
    def protection(self) -> Protection:
        """What was agreed on."""
        ...

    @property
    def layer(self) -> Layer | None:
        """None where messages go as they are (authentication)."""
        ...

    def respond(self, challenge: bytes) -> bytes:
        """Returns the answer to a challenge (empty: the first step without one).

        Raises:
            SaslError: the challenge is not valid.
            BlockferryError: PROTECTION_REFUSED, and those of the login itself.
        """
        ...

    def finish(self, token: bytes) -> None:
        """Takes what came with the server's success. Raises SaslError when the server has not proved itself."""
        ...


def choose(accepted: Iterable[Protection], offered: Iterable[Protection], server: str) -> Protection:
    """Returns the first protection that we accept and the server offers.

    Raises:
        BlockferryError: PROTECTION_REFUSED. `server` is named in it, e.g. `the NameNode nn:8020`.
    """
    wanted, found = tuple(accepted), tuple(offered)
    for protection in wanted:
        if protection in found:
            return protection
    raise protection_refused(wanted, found, server)


def protection_refused(
    accepted: tuple[Protection, ...], offered: tuple[Protection, ...], server: str
) -> BlockferryError:
    """Returns the error of two sides that share no protection."""
    key = "hadoop.rpc.protection" if "NameNode" in server else "dfs.data.transfer.protection"
    cure = f"Have {key} of the cluster name one of these" if offered else "Have the cluster set up Kerberos for it"
    if not offered and "DataNode" in server:
        cure = "Have the cluster set dfs.encrypt.data.transfer, or use Kerberos and a DataNode port from 1024 on"
    return BlockferryError(
        "PROTECTION_REFUSED",
        f"{server[:1].upper()}{server[1:]} offers {_listed(offered)}, and the location accepts {_listed(accepted)} "
        f"only. {cure}, or accept less in the location or its site files.",
        whose=Whose.CALLER,
        expected=_listed(accepted),
        found=_listed(offered),
    )


def _listed(protections: tuple[Protection, ...]) -> str:
    return ", ".join(protections) or "no protection"
