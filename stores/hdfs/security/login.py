"""How connections to a location's NameNodes log in: by name alone, by Kerberos, or with a delegation token.

Decided once for a location: a principal, site files that say kerberos, or a token file mean SASL; without any of them
connections are opened simply until a NameNode asks for more. Never logs or tells a secret.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from blockferry.errors import BlockferryError, Whose
from stores.hdfs.config.cluster import Authentication, Security
from stores.hdfs.rpc.rpc_sasl import SIMPLE, Choice, Offer
from stores.hdfs.security.digest_login import DigestLogin
from stores.hdfs.security.gssapi_login import GssapiLogin
from stores.hdfs.security.kerberos import Kerberos, KerberosLogin
from stores.hdfs.security.tokens import Token, account_of, delegation_token, parse_file
from stores.location import HdfsLocation

TOKEN_FILE_VARIABLE = "HADOOP_TOKEN_FILE_LOCATION"  # noqa: S105 - a variable's name
_NO_TICKET = frozenset({"TICKET_MISSING", "TICKET_EXPIRED", "KDC_UNKNOWN", "KERBEROS_MISSING", "KRB5_CONF_INVALID"})
_SKEW_S = 300.0  # clockskew of krb5.conf
_CURE = (
    "Give the location a principal and a keytab (--hdfs-principal, --hdfs-keytab), or run kinit as the worker's user."
)


class ClusterLogin:
    """The login of one location. Thread safe. Reads the token file at once, asks nobody before the first connection.

    Attributes:
        uses_sasl: the next connection begins with SASL.
        is_secure: a NameNode has seen more of us than a name. Known after the first answer.
        has_tokens: a file of delegation tokens is tried before Kerberos.
    """

    def __init__(
        self,
        location: HdfsLocation,
        security: Security | None = None,
        identity: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Decides how to begin.

        Args:
            location: who logs in.
            security: what the site files say.
            identity: the cluster's logical name, for tokens of a cluster with several NameNodes.
            environment: of the process; for tests.

        Raises:
            BlockferryError: INVALID_LOGIN, TOKEN_FILE_INVALID.
        """
        _check(location)
        self.security = security or Security()
        self.kerberos = Kerberos(KerberosLogin(location.principal, location.keytab, location.krb5_conf))
        self._principal = location.principal
        self._user = location.user
        self._identity = identity
        self._tokens = () if location.principal else _tokens(os.environ if environment is None else environment)
        asked_for = bool(location.principal) or self.security.authentication is Authentication.KERBEROS
        self._must_be_secure = asked_for and not self.security.fallback_to_simple
        self._was_asked = False
        self.uses_sasl = asked_for or bool(self._tokens)
        self.is_secure = False
        self.has_tokens = bool(self._tokens)

    def demanded(self) -> bool:
        """Notes that a NameNode takes nobody by name alone. Returns whether the next connection can be another one."""
        if not self.uses_sasl:
            self._was_asked = True
            self.uses_sasl = True
        return True

    def choose(self, host: str, port: int, offers: Sequence[Offer]) -> Choice | None:
        """Returns the way to log in at a NameNode that offers these; None: by name alone.

        Raises:
            BlockferryError: AUTHENTICATION_REQUIRED, PROTECTION_REFUSED, and those of `Kerberos`.
        """
        server = f"the NameNode {host}:{port}"
        by_method = {offer.method: offer for offer in offers}
        token = delegation_token(self._tokens, self._services(host, port)) if self._tokens else None
        if token is not None and (offer := by_method.get("TOKEN")):
            account = account_of(token, f"{offer.protocol}/{offer.server_id}")
            return Choice(offer, DigestLogin(account, self.security.rpc_protections, server))
        if offer := by_method.get("KERBEROS"):
            return Choice(offer, self._by_kerberos(host, offer, server))
        if SIMPLE in by_method:
            return None
        known = ", ".join(by_method) or "nothing"
        raise BlockferryError(
            "AUTHENTICATION_REQUIRED",
            f"{server[:1].upper()}{server[1:]} offers {known} to log in, and none of it is possible here. {_CURE}",
            whose=Whose.CALLER,
            host=f"{host}:{port}",
        )

    def context_user(self, choice: Choice | None, simple_user: str) -> str:
        """Returns whom a connection's context names: nobody where the login says it already."""
        self.is_secure = choice is not None
        if choice is None:
            return simple_user
        if choice.offer.method == "TOKEN" or not self._user:
            return ""
        principal = self.kerberos.principal
        is_oneself = self._user in (principal, *re.findall(r"^([^/@]+)@", principal))
        return "" if is_oneself else self._user

    def accept_simple(self, host: str, port: int) -> None:
        """Raises BlockferryError NAMENODE_INSECURE where a server without security is not accepted."""
        if self._must_be_secure:
            who = f"names the principal {self._principal}" if self._principal else "wants Kerberos by its site files"
            raise BlockferryError(
                "NAMENODE_INSECURE",
                f"The NameNode {host}:{port} takes everybody by name alone, and the location {who}. Check that it is "
                "the right cluster; leave the principal out, or set ipc.client.fallback-to-simple-auth-allowed, if so.",
                whose=Whose.CALLER,
                host=f"{host}:{port}",
            )

    def refused(self, error: BlockferryError) -> BlockferryError:
        """Notes that a server did not take the login: the next one is made with new tickets. Servers say no reason
        (`GSS initiate failed`): returns CLOCK_SKEWED where the KDC's clock is one, else `error`."""
        ahead_s = 0.0
        with suppress(BlockferryError):
            ahead_s = self.kerberos.session().kdc_ahead_s
        self.kerberos.forget()
        if abs(ahead_s) < _SKEW_S or self._tokens:
            return error
        way = "ahead of" if ahead_s > 0 else "behind"
        skewed = BlockferryError(
            "CLOCK_SKEWED",
            f"{error.message} The KDC's clock is {abs(ahead_s):.0f} s {way} this machine's: let NTP set the clocks of "
            "KDC, worker and cluster, which must differ by less than 5 minutes.",
            whose=Whose.CALLER,
        )
        skewed.coordinates = error.coordinates
        return skewed

    def _by_kerberos(self, host: str, offer: Offer, server: str) -> GssapiLogin:
        try:
            principal = self._service_principal(host, offer)
            return GssapiLogin(self.kerberos.context(principal), self.security.rpc_protections, server)
        except BlockferryError as error:
            if self._was_asked and error.reason in _NO_TICKET:
                raise BlockferryError(
                    "AUTHENTICATION_REQUIRED",
                    f"{server[:1].upper()}{server[1:]} asks for Kerberos. {error.message}",
                    whose=Whose.CALLER,
                    host=server.rpartition(" ")[2],
                ) from error
            raise

    def _service_principal(self, host: str, offer: Offer) -> str:
        """Returns the NameNode's principal: that of the site files, else what the NameNode says of itself."""
        said = self.kerberos.service_principal(offer.protocol, offer.server_id)
        pattern = self.security.namenode_principal_pattern
        expected = self.security.namenode_principal
        if pattern and fnmatchcase(said, pattern):
            return said
        if not expected:
            return said
        return expected.replace("_HOST", offer.server_id if _is_ip(host) else host.lower())

    def _services(self, host: str, port: int) -> tuple[str, ...]:
        """Returns the names under which tokens know a NameNode (SecurityUtil.buildTokenService)."""
        found = [f"{host}:{port}", f"ha-hdfs:{self._identity}"]
        with suppress(OSError):
            found += [f"{info[4][0]}:{port}" for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
        return tuple(found)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check(location: HdfsLocation) -> None:
    if bool(location.principal) != bool(location.keytab):
        given, missing = ("principal", "keytab") if location.principal else ("keytab", "principal")
        raise BlockferryError(
            "INVALID_LOGIN",
            f"The location has a {given} and no {missing}: give both, or none to use the ticket cache.",
            whose=Whose.CALLER,
        )


def _tokens(environment: Mapping[str, str]) -> tuple[Token, ...]:
    name = environment.get(TOKEN_FILE_VARIABLE, "")
    if not name:
        return ()
    try:
        return parse_file(Path(name).read_bytes())
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise BlockferryError(
            "TOKEN_FILE_INVALID",
            f"The file of tokens {name} cannot be used: {said}. Have it written anew (hdfs fetchdt), or unset "
            f"{TOKEN_FILE_VARIABLE} in the worker's environment.",
            whose=Whose.CALLER,
        ) from error
