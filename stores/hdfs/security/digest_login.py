"""DIGEST-MD5 as a mechanism of SASL: a token's identifier and password prove both sides to each other."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

from stores.hdfs.security import seal
from stores.hdfs.security.digest_layer import DigestLayer
from stores.hdfs.security.digest_md5 import Account, Response, check_server, parse_challenge, respond
from stores.hdfs.security.sasl import SaslError, choose
from stores.location import Protection

_NONCE_BYTES = 24


def _nonce() -> bytes:
    return base64.b64encode(os.urandom(_NONCE_BYTES))


class DigestLogin:
    """One login. See `sasl.Mechanism`."""

    def __init__(
        self,
        account: Account,
        accepted: tuple[Protection, ...],
        server: str,
        nonce: Callable[[], bytes] = _nonce,
    ) -> None:
        """`server` is for errors: `the DataNode dn1:9866`."""
        self._account = account
        self._accepted = accepted
        self._server = server
        self._nonce = nonce
        self._cipher = ""
        self._response: Response | None = None
        self.protection = Protection.AUTHENTICATION

    @property
    def layer(self) -> DigestLayer | None:
        """None where messages go as they are. Each call begins a new session: take it once."""
        if self._response is None or self.protection is Protection.AUTHENTICATION:
            return None
        keys = self._response.keys
        if self.protection is Protection.INTEGRITY:
            return DigestLayer(keys)
        return DigestLayer(
            keys,
            seal.Sealer(self._cipher, keys.seal, encrypt=True),
            seal.Sealer(self._cipher, keys.unseal, encrypt=False),
        )

    def respond(self, challenge: bytes) -> bytes:
        """See `Mechanism.respond`. A challenge after our response is the server's proof, which has no answer."""
        if self._response is not None:
            self.finish(challenge)
            return b""
        said = parse_challenge(challenge)
        self.protection = choose(self._accepted, said.offered, self._server)
        if self.protection is Protection.PRIVACY:
            self._cipher = next((name for name in seal.available() if name in said.ciphers), "")
            if not self._cipher:
                raise SaslError(f"the server offers the ciphers {said.ciphers}, here are {seal.available()}")
        self._response = respond(self._account, said, self.protection, self._nonce(), self._cipher)
        return self._response.message

    def finish(self, token: bytes) -> None:
        """See `Mechanism.finish`."""
        if self._response is None:
            raise SaslError("the server ended the login before it began")
        check_server(self._response, token)
