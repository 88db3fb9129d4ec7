"""A location's Kerberos login: tickets by keytab or out of a ticket cache, and security contexts with services.

Each location has its own krb5.conf and its own tickets, in a cache that lives in memory: two locations of two realms in
one process share nothing, wait for no common lock, and the process's environment is not touched. Tickets are fetched
again before they expire. Never logs or tells a key.
"""

from __future__ import annotations

import base64
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blockferry.errors import BlockferryError
from stores.hdfs.security.kerberos_errors import Attempt, kerberos_error
from stores.hdfs.security.libgssapi import SecurityContext
from stores.hdfs.security.libkrb5 import Krb5, Krb5Error, Ticket

# As Hadoop's UserGroupInformation: after so much of a ticket's life another one is fetched.
_RENEW_AFTER = 0.8
_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class KerberosLogin:
    """Who logs in, all paths being the worker's. Without principal and keytab the ticket cache is used: `cache`, or
    the default one (KRB5CCNAME, default_ccache_name). `krb5_conf` empty: the system's."""

    principal: str = ""
    keytab: str = ""
    krb5_conf: str = ""
    cache: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """Who is logged in.

    Attributes:
        principal: `alice@REALM`.
        end_s: when the ticket ends, in seconds since 1970 UTC by the KDC's clock.
        kdc_ahead_s: how far the KDC's clock was before ours at the login; 0 for tickets out of a cache.
    """

    principal: str
    end_s: float
    kdc_ahead_s: float


class Kerberos:
    """The login of one location. Thread safe. Asks nobody before the first context is wanted.

    All methods raise BlockferryError: KERBEROS_MISSING, KEYTAB_MISSING, KEYTAB_REFUSED, PRINCIPAL_UNKNOWN,
    PRINCIPAL_LOCKED, TICKET_MISSING, TICKET_EXPIRED, KDC_UNAVAILABLE (retryable), KDC_UNKNOWN, CLOCK_SKEWED,
    SERVICE_UNKNOWN, KRB5_CONF_INVALID, ENCRYPTION_TYPE_REFUSED, KERBEROS_FAILED.
    """

    def __init__(self, login: KerberosLogin, clock: Callable[[], float] = time.time) -> None:
        self.login = login
        self._clock = clock
        self._lock = threading.Lock()
        self._tickets: _Tickets | None = None

    @property
    def principal(self) -> str:
        """Who we are: `alice@REALM`. Logs in when that is not yet done."""
        return self._valid_tickets().client

    def session(self) -> Session:
        """Returns who is logged in. Logs in when that is not yet done."""
        tickets = self._valid_tickets()
        return Session(tickets.client, tickets.end_s, tickets.kdc_ahead_s)

    def context(self, service_principal: str, spnego: bool = False) -> SecurityContext:
        """Returns a new context with a service (`nn/host@REALM`), with the ticket for it fetched already."""
        tickets = self._valid_tickets()
        with self._explained(f"the ticket of {tickets.client} for {service_principal}"):
            with Krb5(self.login.krb5_conf) as krb5:
                ticket = krb5.service_ticket(tickets.cache, service_principal)
            return SecurityContext(tickets.cache, ticket.server, spnego)

    def service_principal(self, service: str, host: str) -> str:
        """Returns the principal of a service on a host; its realm is that of krb5.conf's [domain_realm], else ours."""
        with self._explained(f"the name of {service}/{host}"), Krb5(self.login.krb5_conf) as krb5:
            name = krb5.service_principal(service, host)
        return name if name.rpartition("@")[2] else name + self.principal.rpartition("@")[2]

    def negotiate(self, host: str) -> str:
        """Returns the value of an HTTP header `Authorization` for the service `HTTP/host` (SPNEGO, RFC 4559). Each
        value is good for one request."""
        context = self.context(self.service_principal("HTTP", host.lower()), spnego=True)
        try:
            with self._explained(f"the login at HTTP/{host}"):
                return f"Negotiate {base64.b64encode(context.step()).decode('ascii')}"
        finally:
            context.close()

    def forget(self) -> None:
        """Lets the next context log in anew: a service has refused what we hold."""
        with self._lock:
            self._tickets = None

    def _valid_tickets(self) -> _Tickets:
        held = self._tickets
        if held is None or self._now(held) >= held.end_s:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            return held  # another thread may be fetching the next ones, from a KDC that is slow
        try:
            return self._looked_after()
        finally:
            self._lock.release()

    def _looked_after(self) -> _Tickets:
        if self._tickets is None or self._now(self._tickets) >= self._tickets.end_s:
            self._tickets = self._log_in()
        elif (now := self._now(self._tickets)) >= self._tickets.renew_at_s:
            self._tickets = self._renewed(self._tickets, now)
        return self._tickets

    def _now(self, tickets: _Tickets) -> float:
        return self._clock() + tickets.kdc_ahead_s

    def _renewed(self, tickets: _Tickets, now: float) -> _Tickets:
        """Returns new tickets, or the present ones while they are valid and there are no others to be had."""
        try:
            return self._log_in(tickets)
        except BlockferryError:
            tickets.renewal_failed(now)
            return tickets

    def _log_in(self, before: _Tickets | None = None) -> _Tickets:
        cache = f"MEMORY:blockferry-{uuid.uuid4().hex}"
        login = self.login
        by_cache = "" if login.keytab else self._cache_name()
        what = f"the login by the ticket cache {by_cache}" if by_cache else f"the login of {login.principal}"
        with self._explained(what, login.keytab), Krb5(login.krb5_conf) as krb5:
            if login.keytab:
                _check_readable(login.keytab)
                ticket = krb5.log_in(login.principal, login.keytab, cache)
                return _Tickets(cache, ticket, login.krb5_conf, kdc_ahead_s=ticket.start_s - self._clock())
            found = self._copied(krb5, cache, before)
            return found if self._clock() < found.renew_at_s else self._prolonged(krb5, found, before)

    def _copied(self, krb5: Krb5, cache: str, before: _Tickets | None) -> _Tickets:
        """Returns what the ticket cache holds now; `before`, which we renew ourselves, where that is nothing valid."""
        try:
            krb5.copy(self.login.cache, cache)
            return _Tickets(cache, krb5.login_ticket(cache), self.login.krb5_conf)
        except Krb5Error:
            if before is None:
                raise
            return before

    def _cache_name(self) -> str:
        if self.login.cache:
            return self.login.cache
        with self._explained("the name of the ticket cache"), Krb5(self.login.krb5_conf) as krb5:
            return krb5.name_of()

    def _prolonged(self, krb5: Krb5, found: _Tickets, before: _Tickets | None) -> _Tickets:
        """Returns the tickets of a cache that nobody renews: renewed now, or the best that we have where the KDC does
        not renew. Of two that end together the older: it has tickets for services too, which a KDC that is down
        could not give again."""
        best = before if before is not None and before.end_s >= found.end_s else found
        cache = f"MEMORY:blockferry-{uuid.uuid4().hex}"
        try:
            return _Tickets(cache, krb5.renew(best.cache, cache), self.login.krb5_conf)
        except Krb5Error:
            best.renewal_failed(self._clock())
            return best

    def _explained(self, what: str, keytab: str = "") -> _Explained:
        return _Explained(Attempt(what, keytab, self.login.krb5_conf))


class _Tickets:
    """Tickets in a memory cache of their own, which is forgotten with the object."""

    def __init__(self, cache: str, ticket: Ticket, krb5_conf: str, kdc_ahead_s: float = 0.0) -> None:
        self.cache = cache
        self.client = ticket.client
        self.kdc_ahead_s = kdc_ahead_s
        self.end_s = float(ticket.end_s)
        self.renew_at_s = ticket.start_s + (ticket.end_s - ticket.start_s) * _RENEW_AFTER
        weakref.finalize(self, _destroy, cache, krb5_conf).atexit = False

    def renewal_failed(self, now: float) -> None:
        """Has the next renewal tried soon, several times before the end but not more often than every second."""
        self.renew_at_s = now + max(1.0, min(_RETRY_S, (self.end_s - now) / 4))


def _destroy(cache: str, krb5_conf: str) -> None:
    try:
        with Krb5(krb5_conf) as krb5:
            krb5.destroy(cache)
    except Krb5Error:
        pass  # the configuration is gone meanwhile; the process's memory is all that keeps it


def _check_readable(keytab: str) -> None:
    """Raises Krb5Error with an errno. Where the KDC wants proof first, libkrb5 tells only that there is none."""
    try:
        Path(keytab.removeprefix("FILE:")).open("rb").close()
    except OSError as error:
        raise Krb5Error(error.errno or 0, error.strerror or "") from error


class _Explained:
    """Turns what libkrb5 says inside the block into our error."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Krb5Error):
            raise kerberos_error(self._attempt, error.code, str(error)) from error
