"""Decrypts files' keys by the REST interface of Hadoop's KMS: several servers, kept connections, both kinds of login.

Never keeps a decrypted key (that is `data_keys`) and never tells one: not in text, not in logs, not in spans.
"""

from __future__ import annotations

import getpass
import random
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.zones import kms_wire
from stores.hdfs.zones.kms_wire import EncryptedKey, KmsAddress
from stores.http_head import NoHttpError
from stores.http_pool import Answer, HttpPool, Route

CONNECT_S = 10.0
WAIT_S = 30.0
# After this time a server that could not be reached is asked again before the others.
AVOIDED_FOR_S = 30.0
_KEPT_CONNECTIONS = 16  # as many as an actor has threads that read; over https a new one costs a handshake
_COOKIE = re.compile(r'(?:^|[\s,])hadoop\.auth=("[^"]+"|[^\s";,]+)')


class Ticketed(Protocol):
    """What is needed of a Kerberos login; see `kerberos.Kerberos`."""

    @property
    def principal(self) -> str:
        """`alice@REALM`."""
        ...

    def negotiate(self, host: str) -> str:
        """Returns the value of a header `Authorization` for the service `HTTP/host`."""
        ...


@dataclass(frozen=True, slots=True)
class KmsLogin:
    """Who asks the KMS, by simple authentication until a server wants Kerberos.

    Attributes:
        user: whose rights count. Empty: the principal, or who runs the worker. With Kerberos another user than the
            principal's is one whom the principal stands for (proxy user).
        kerberos: None: there is no Kerberos login.
    """

    user: str = ""
    kerberos: Ticketed | None = field(default=None, repr=False)

    @property
    def simple_user(self) -> str:
        """Who we say that we are."""
        return self.user or getpass.getuser()

    def run_as(self, kerberos: Ticketed) -> str:
        """Returns whom the principal stands for; empty: itself. As `login.ClusterLogin` tells the NameNode."""
        principal = kerberos.principal
        return "" if self.user in (principal, *re.findall(r"^([^/@]+)@", principal)) else self.user


class KmsClient:
    """One KMS. Thread safe. Calls go to its servers in turn; one that fails is passed over and avoided for a while."""

    def __init__(
        self, address: KmsAddress, login: KmsLogin, trusted_pem: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Opens nothing yet.

        Args:
            address: its servers.
            login: who asks.
            trusted_pem: certificates of the authorities that are trusted (https); empty: the system's.
            clock: seconds.
        """
        self._servers = tuple(_Server(address, host, port, login, trusted_pem) for host, port in address.hosts)
        self._clock = clock
        self._lock = threading.Lock()
        self._turn = random.randrange(len(self._servers))  # noqa: S311 - so that not all workers begin with the same
        self._avoided_until: dict[str, float] = {}

    def close(self) -> None:
        """Closes the idle connections."""
        for server in self._servers:
            server.close()

    def decrypt(self, key: EncryptedKey) -> bytes:
        """Returns the decrypted key: 16, 24 or 32 bytes.

        Raises:
            BlockferryError: ACCESS_DENIED, KMS_KEY_UNKNOWN, KMS_LOGIN_REFUSED, KMS_REFUSED, KMS_UNTRUSTED;
                KMS_UNAVAILABLE (retryable) when no server answers; those of the Kerberos login.
        """
        failures: list[BlockferryError] = []
        for server in self._order():
            try:
                return server.decrypt(key)
            except BlockferryError as error:
                if error.reason not in _ELSEWHERE:
                    raise
                failures.append(error)
                self._avoid(server)
        raise _none_answers(failures)

    def greet(self) -> tuple[tuple[str, BlockferryError | None], ...]:
        """Asks every server whether it knows us, without a key. Returns `host:port` of each, with what is wrong or
        None; see `decrypt` for errors."""
        return tuple((server.host, server.greeted()) for server in self._servers)

    def _order(self) -> list[_Server]:
        """Returns the servers in the order in which they are asked: another one first each time, avoided ones last."""
        with self._lock:
            turn, self._turn = self._turn, (self._turn + 1) % len(self._servers)
            now = self._clock()
            self._avoided_until = {host: until for host, until in self._avoided_until.items() if until > now}
            avoided = set(self._avoided_until)
        return sorted((*self._servers[turn:], *self._servers[:turn]), key=lambda server: server.host in avoided)

    def _avoid(self, server: _Server) -> None:
        with self._lock:
            self._avoided_until[server.host] = self._clock() + AVOIDED_FOR_S


_ELSEWHERE = ("KMS_UNAVAILABLE", "KMS_UNTRUSTED")


class _Server:
    """One server of a KMS. `host` is `name:port`."""

    def __init__(self, address: KmsAddress, name: str, port: int, login: KmsLogin, trusted_pem: str) -> None:
        origin = kms_wire.origin(address.scheme, name, port)
        self.host = origin.partition("://")[2]
        self._name = name
        self._path = address.path
        self._login = login
        self._pool = HttpPool(Route(origin, "", "", CONNECT_S, WAIT_S, trusted_pem), _KEPT_CONNECTIONS)
        # A server that knows us by a cookie is spared the ticket; several servers do not know each other's.
        self._cookie = ""
        self._negotiated: Ticketed | None = None

    def close(self) -> None:
        self._pool.close()

    def greeted(self) -> BlockferryError | None:
        try:
            answer = self._asked(self._greeting)
        except BlockferryError as error:
            return error
        return kms_wire.greeting_failure(kms_wire.answer_of(answer.status, answer.body), self._who(), self.host)

    def decrypt(self, key: EncryptedKey) -> bytes:
        answer = self._asked(partial(self._post, key))
        if answer.status != 200:
            raise kms_wire.failure_of(kms_wire.answer_of(answer.status, answer.body), key, self._who(), self.host)
        self._remember(answer)
        try:
            return kms_wire.data_key(answer.body)
        except ValueError as error:
            raise self._unavailable(str(error)) from error

    def _asked(self, ask: Callable[[dict[str, str]], Answer]) -> Answer:
        """Asks with what the server knew us by last; when it wants Kerberos instead, with a ticket. `ask` takes the
        headers that say who we are."""
        try:
            return self._known(ask)
        except ssl.SSLCertVerificationError as error:
            raise self._untrusted(error) from error
        except (OSError, NoHttpError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error

    def _known(self, ask: Callable[[dict[str, str]], Answer]) -> Answer:
        cookie, kerberos = self._cookie, self._login.kerberos
        answer = ask({"Cookie": f"hadoop.auth={cookie}"} if cookie else {})
        if answer.status != 401 or kerberos is None or not _wants_kerberos(answer):
            return answer
        self._cookie = ""
        self._negotiated = kerberos
        return ask({"Authorization": kerberos.negotiate(self._name)})

    def _greeting(self, headers: dict[str, str]) -> Answer:
        target = kms_wire.greeting_target(self._path, self._parameters())
        return self._pool.ask("GET", target, {"Host": self.host, **headers})

    def _post(self, key: EncryptedKey, headers: dict[str, str]) -> Answer:
        body = kms_wire.decrypt_body(key)
        standing = {"Host": self.host, "Content-Type": "application/json", "Content-Length": str(len(body))}
        target = kms_wire.decrypt_target(self._path, key, self._parameters())
        return self._pool.ask("POST", target, {**standing, **headers}, body)

    def _parameters(self) -> dict[str, str]:
        if self._negotiated is None:
            return {"user.name": self._login.simple_user}
        run_as = self._login.run_as(self._negotiated)
        return {"doAs": run_as} if run_as else {}

    def _who(self) -> str:
        if self._negotiated is None:
            return self._login.simple_user
        return self._login.run_as(self._negotiated) or self._negotiated.principal

    def _remember(self, answer: Answer) -> None:
        if found := _COOKIE.search(answer.headers.get("set-cookie", "")):
            self._cookie = found[1]

    def _unavailable(self, what: str) -> BlockferryError:
        return BlockferryError(
            "KMS_UNAVAILABLE",
            f"The KMS {self.host} does not answer as it should: {what}. Check that it runs, and that its port can be "
            "reached from here.",
            retryable=True,
            whose=Whose.SOURCE,
            host=self.host,
        )

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> BlockferryError:
        why = error.verify_message.rstrip(".")
        return BlockferryError(
            "KMS_UNTRUSTED",
            f"The KMS {self.host} cannot be trusted: {why}. Add the authority of its certificate to the truststore "
            "that ssl-client.xml among the location's site files names, or to the system's (SSL_CERT_FILE).",
            whose=Whose.CALLER,
            host=self.host,
        )


def _wants_kerberos(answer: Answer) -> bool:
    return "negotiate" in answer.headers.get("www-authenticate", "").lower()


def _none_answers(failures: list[BlockferryError]) -> BlockferryError:
    """Returns the error for all servers: the only one, or all of them in one sentence."""
    if len(failures) == 1:
        return failures[0]
    retryable = any(failure.retryable for failure in failures)
    every = BlockferryError(
        "KMS_UNAVAILABLE" if retryable else "KMS_UNTRUSTED",
        "No server of the KMS can be used: " + " ".join(failure.message for failure in failures),
        retryable=retryable,
        whose=Whose.SOURCE if retryable else Whose.CALLER,
        host=",".join(failure.coordinates["host"] for failure in failures),
    )
    every.__cause__ = failures[-1]
    return every
