"""Kerberos as a mechanism of SASL (RFC 4752): the context is built, then both sides agree on a protection. PURE but
for the context, whose keys it never sees.
"""

from __future__ import annotations

from typing import Protocol

from stores.hdfs.security.kerberos_errors import Attempt, kerberos_error
from stores.hdfs.security.libkrb5 import Krb5Error
from stores.hdfs.security.sasl import LAYER_BIT, Layer, SaslError, choose
from stores.location import Protection

_LAYERS_BYTES = 4  # a bit for each protection, and three bytes of the largest message


class Context(Protocol):
    """What is needed of a `libgssapi.SecurityContext`; its methods raise Krb5Error."""

    complete: bool

    def step(self, token: bytes = b"") -> bytes:
        """Takes the service's token and returns ours."""
        ...

    def wrap(self, message: bytes | memoryview, private: bool) -> bytes:
        """Returns a message with its proof."""
        ...

    def unwrap(self, wrapped: bytes | memoryview) -> bytes:
        """Returns the message of what was wrapped."""
        ...


class GssapiLogin:
    """One login at a service. See `sasl.Mechanism`."""

    def __init__(self, context: Context, accepted: tuple[Protection, ...], server: str) -> None:
        """`server` is for errors: `the NameNode nn:8020`."""
        self._context = context
        self._accepted = accepted
        self._server = server
        self.protection = Protection.AUTHENTICATION
        self._agreed = False

    @property
    def layer(self) -> Layer | None:
        """None where messages go as they are."""
        if self.protection is Protection.AUTHENTICATION:
            return None
        return GssapiLayer(self._context, self.protection is Protection.PRIVACY)

    def respond(self, challenge: bytes) -> bytes:
        """See `Mechanism.respond`."""
        try:
            return self._agree(challenge) if self._context.complete else self._context.step(challenge)
        except Krb5Error as error:
            raise kerberos_error(Attempt(f"the login at {self._server}"), error.code, str(error)) from error

    def finish(self, token: bytes) -> None:
        """See `Mechanism.finish`. The server has proved itself when it has offered its protections."""
        if not self._agreed:
            raise SaslError("the server ended the login before it proved itself")

    def _agree(self, wrapped: bytes) -> bytes:
        offer = self._context.unwrap(wrapped)
        if len(offer) != _LAYERS_BYTES:
            raise SaslError(f"the server offers protections in {len(offer)} bytes")
        offered = tuple(protection for protection, bit in LAYER_BIT.items() if offer[0] & bit)
        self.protection = choose(self._accepted, offered, self._server)
        self._agreed = True
        largest = b"\0\0\0" if self.protection is Protection.AUTHENTICATION else b"\xff\xff\xff"
        return self._context.wrap(bytes((LAYER_BIT[self.protection],)) + largest, private=False)


class GssapiLayer:
    """Integrity or privacy by the context's keys. See `sasl.Layer`."""

    def __init__(self, context: Context, private: bool) -> None:
        self._context = context
        self._private = private

    def wrap(self, message: bytes) -> bytes:
        """See `Layer.wrap`."""
        return self._context.wrap(message, self._private)

    def unwrap(self, wrapped: bytes | bytearray) -> bytes:
        """See `Layer.unwrap`."""
        try:
            return self._context.unwrap(bytes(wrapped))
        except Krb5Error as error:
            raise SaslError(f"a protected message is not genuine: {error}") from error
