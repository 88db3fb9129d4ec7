"""The calls of MIT's libkrb5 that a login needs, through ctypes: tickets by keytab, by another cache, for a service.

Only here because no other way gives one location its own krb5.conf without the process's environment (see
docs/decisions). Knows neither HDFS nor when to log in again: that is `kerberos`. Calls give the interpreter's lock away
while they wait for a KDC.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ctypes import POINTER, byref, c_char_p, c_void_p
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from stores.hdfs.security.libkrb5_abi import Creds, load

CONF_UNREADABLE = -1765328249  # KRB5_CONFIG_CANTOPEN
_NT_UNKNOWN = 0  # with it the host's name is taken as it is: no DNS turns it into another one
_ONLY_CACHED = 2  # KRB5_GC_CACHED


class Krb5Error(Exception):
    """libkrb5 refused. `code` is its number (krb5_err.h, or an errno), the text its own; neither holds a secret."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket's names and times, in seconds since 1970 UTC by the KDC's clock."""

    client: str
    server: str
    start_s: int
    end_s: int


class Krb5:
    """One krb5_context, read from one krb5.conf: for one thread. Every method raises Krb5Error."""

    def __init__(self, krb5_conf: str = "") -> None:
        """Reads the configuration; empty: the system's (KRB5_CONFIG, or /etc/krb5.conf, or none).

        Raises:
            BlockferryError: KERBEROS_MISSING.
        """
        self._library = load()
        self._context = c_void_p()
        if not krb5_conf:
            self._check(self._library.krb5_init_context(byref(self._context)))
            return
        profile = c_void_p()
        if code := self._library.profile_init_path(krb5_conf.encode(), byref(profile)):
            raise Krb5Error(CONF_UNREADABLE, os.strerror(code) if code > 0 else f"it cannot be parsed ({code})")
        try:
            self._check(self._library.krb5_init_context_profile(profile, 0, byref(self._context)))
        finally:
            self._library.profile_release(profile)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the context. Calling it twice is fine."""
        if self._context:
            self._library.krb5_free_context(self._context)
            self._context = c_void_p()

    def log_in(self, principal: str, keytab: str, cache: str) -> Ticket:
        """Fetches a ticket-granting ticket into `cache`, which is made anew. Asks the KDC."""
        with ExitStack() as stack:
            client = stack.enter_context(self._principal(principal))
            table = stack.enter_context(self._keytab(keytab))
            into = stack.enter_context(self._cache(cache))
            options = stack.enter_context(self._login_options(into))
            creds = Creds()
            call = self._library.krb5_get_init_creds_keytab
            self._check(call(self._context, byref(creds), client, table, 0, None, options))
            stack.callback(self._library.krb5_free_cred_contents, self._context, byref(creds))
            return self._ticket(creds)

    def copy(self, source: str, cache: str) -> None:
        """Copies all tickets of the cache `source` (empty: the default one) into `cache`, which is made anew."""
        with ExitStack() as stack:
            origin = stack.enter_context(self._cache(source))
            into = stack.enter_context(self._cache(cache))
            owner = stack.enter_context(self._owner(origin))
            self._check(self._library.krb5_cc_initialize(self._context, into, owner))
            self._check(self._library.krb5_cc_copy_creds(self._context, origin, into))

    def renew(self, cache: str, into: str) -> Ticket:
        """Has the KDC renew the ticket-granting ticket of `cache`; the new one goes into `into`, made anew."""
        with ExitStack() as stack:
            origin = stack.enter_context(self._cache(cache))
            target = stack.enter_context(self._cache(into))
            owner = stack.enter_context(self._owner(origin))
            creds = Creds()
            self._check(self._library.krb5_get_renewed_creds(self._context, byref(creds), owner, origin, None))
            stack.callback(self._library.krb5_free_cred_contents, self._context, byref(creds))
            self._check(self._library.krb5_cc_initialize(self._context, target, owner))
            self._check(self._library.krb5_cc_store_cred(self._context, target, byref(creds)))
            return self._ticket(creds)

    def name_of(self, cache: str = "") -> str:
        """Returns a cache's full name, e.g. `FILE:/tmp/krb5cc_0`; without `cache` that of the default one."""
        with self._cache(cache) as handle:
            name = c_char_p()
            self._check(self._library.krb5_cc_get_full_name(self._context, handle, byref(name)))
            try:
                return (name.value or b"").decode(errors="replace")
            finally:
                self._library.krb5_free_string(self._context, name)

    def login_ticket(self, cache: str) -> Ticket:
        """Returns the valid ticket-granting ticket of the cache's own realm. Asks nobody."""
        with self._cache(cache) as handle, self._owner(handle) as owner:
            realm = self._text(owner).rpartition("@")[2]
            return self._credentials(handle, owner, f"krbtgt/{realm}@{realm}", _ONLY_CACHED)

    def service_ticket(self, cache: str, server: str) -> Ticket:
        """Returns the ticket for a service; asks the KDC for it and keeps it in the cache if it is not there yet."""
        with self._cache(cache) as handle, self._owner(handle) as owner:
            return self._credentials(handle, owner, server, 0)

    def service_principal(self, service: str, host: str) -> str:
        """Returns `service/host@REALM`, the realm by [domain_realm] of the configuration; empty where it says none."""
        principal = c_void_p()
        call = self._library.krb5_sname_to_principal
        self._check(call(self._context, host.encode(), service.encode(), _NT_UNKNOWN, byref(principal)))
        try:
            return self._text(principal)
        finally:
            self._library.krb5_free_principal(self._context, principal)

    def destroy(self, cache: str) -> None:
        """Forgets a cache and its keys."""
        handle = c_void_p()
        self._check(self._library.krb5_cc_resolve(self._context, cache.encode(), byref(handle)))
        self._check(self._library.krb5_cc_destroy(self._context, handle))

    # ---- handles -------------------------------------------------------------------------------------------------

    def _check(self, code: int) -> None:
        if code:
            text = self._library.krb5_get_error_message(self._context, code)
            try:
                said = (ctypes.string_at(text) if text else b"").decode(errors="replace")
            finally:
                self._library.krb5_free_error_message(self._context, text)
            raise Krb5Error(code, said)

    @contextmanager
    def _principal(self, name: str) -> Iterator[c_void_p]:
        principal = c_void_p()
        self._check(self._library.krb5_parse_name(self._context, name.encode(), byref(principal)))
        try:
            yield principal
        finally:
            self._library.krb5_free_principal(self._context, principal)

    @contextmanager
    def _keytab(self, path: str) -> Iterator[c_void_p]:
        keytab = c_void_p()
        self._check(self._library.krb5_kt_resolve(self._context, path.encode(), byref(keytab)))
        try:
            yield keytab
        finally:
            self._library.krb5_kt_close(self._context, keytab)

    @contextmanager
    def _cache(self, name: str) -> Iterator[c_void_p]:
        cache = c_void_p()
        if name:
            self._check(self._library.krb5_cc_resolve(self._context, name.encode(), byref(cache)))
        else:
            self._check(self._library.krb5_cc_default(self._context, byref(cache)))
        try:
            yield cache
        finally:
            self._library.krb5_cc_close(self._context, cache)

    @contextmanager
    def _owner(self, cache: c_void_p) -> Iterator[c_void_p]:
        owner = c_void_p()
        self._check(self._library.krb5_cc_get_principal(self._context, cache, byref(owner)))
        try:
            yield owner
        finally:
            self._library.krb5_free_principal(self._context, owner)

    @contextmanager
    def _login_options(self, cache: c_void_p) -> Iterator[c_void_p]:
        options = c_void_p()
        self._check(self._library.krb5_get_init_creds_opt_alloc(self._context, byref(options)))
        try:
            self._check(self._library.krb5_get_init_creds_opt_set_out_ccache(self._context, options, cache))
            yield options
        finally:
            self._library.krb5_get_init_creds_opt_free(self._context, options)

    def _credentials(self, cache: c_void_p, client: c_void_p, server: str, flags: int) -> Ticket:
        found = POINTER(Creds)()
        with self._principal(server) as service:
            wanted = Creds(client=client, server=service)
            call = self._library.krb5_get_credentials
            self._check(call(self._context, flags, cache, byref(wanted), byref(found)))
        try:
            return self._ticket(found.contents)
        finally:
            self._library.krb5_free_creds(self._context, found)

    def _ticket(self, creds: Creds) -> Ticket:
        client, server = self._text(c_void_p(creds.client)), self._text(c_void_p(creds.server))
        return Ticket(client, server, creds.start_time or creds.auth_time, creds.end_time)

    def _text(self, principal: c_void_p) -> str:
        name = c_char_p()
        self._check(self._library.krb5_unparse_name(self._context, principal, byref(name)))
        try:
            return (name.value or b"").decode(errors="replace")
        finally:
            self._library.krb5_free_unparsed_name(self._context, name)
