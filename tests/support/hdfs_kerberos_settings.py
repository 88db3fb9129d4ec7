"""PURE: what Kerberos adds to a test cluster's site files.

The web pages stay on plain HTTP: `ignore.secure.ports.for.testing` spares a test the key stores that a DataNode on an
ordinary port asks for (DataNode.checkSecureConfig), and changes nothing on the wire, since dfs.data.transfer.protection
is set as well (SaslDataTransferServer.receive asks for that first).
"""

from collections.abc import Mapping

from tests.support.hdfs_profile import PROTECTIONS, Kerberos
from tests.support.kdc import SERVICE_HOST, SUPERUSER

AES = "AES/CTR/NoPadding"
_SERVERS = ("nn", "dn", "jn", "rt")


def _login_names(realm: str) -> str:
    """Returns the rules that make the superuser of every daemon; a rule's filter ends at its first parenthesis."""
    rules = (f"RULE:[2:$1/$2@$0]({service}/.*@{realm})s/.*/{SUPERUSER}/" for service in _SERVERS)
    return " ".join((*rules, "DEFAULT"))


def _core(kerberos: Kerberos) -> dict[str, str]:
    realm = kerberos.realm
    return {
        "hadoop.security.authentication": "kerberos",
        "hadoop.security.authorization": "true",
        "hadoop.rpc.protection": ",".join(kerberos.rpc),
        "hadoop.security.auth_to_local": _login_names(realm.name),
        "hadoop.http.authentication.type": "kerberos",
        "hadoop.http.authentication.kerberos.principal": realm.principal("HTTP"),
        "hadoop.http.authentication.kerberos.keytab": str(realm.keytab("HTTP")),
        "hadoop.http.authentication.kerberos.endpoint.whitelist": "/jmx",  # the tests ask it whether HDFS is ready
        "hadoop.proxyuser.ferry.hosts": "*",
        "hadoop.proxyuser.ferry.users": "alice",
    }


def _logins(kerberos: Kerberos) -> dict[str, str]:
    """Returns principals as companies write them: the host is filled in by each daemon and each client."""
    realm = kerberos.realm

    def pattern(service: str) -> str:
        return f"{service}/_HOST@{realm.name}"

    names = {"namenode": "nn", "datanode": "dn", "journalnode": "jn"}
    logins = {f"dfs.{daemon}.kerberos.principal": pattern(service) for daemon, service in names.items()}
    logins |= {f"dfs.{daemon}.keytab.file": str(realm.keytab(service)) for daemon, service in names.items()}
    return logins | {
        "dfs.journalnode.kerberos.internal.spnego.principal": pattern("HTTP"),
        "dfs.web.authentication.kerberos.principal": pattern("HTTP"),
        "dfs.web.authentication.kerberos.keytab": str(realm.keytab("HTTP")),
        "dfs.datanode.hostname": SERVICE_HOST,
    }


def _transfer(kerberos: Kerberos) -> dict[str, str]:
    offered = PROTECTIONS if kerberos.encrypt else kerberos.transfer  # encrypted, a DataNode wants some all the same
    return {
        "dfs.block.access.token.enable": "true",
        "dfs.data.transfer.protection": ",".join(offered),
        "dfs.encrypt.data.transfer": str(kerberos.encrypt).lower(),
        "dfs.encrypt.data.transfer.cipher.suites": AES if kerberos.aes else "",
        "dfs.http.policy": "HTTP_ONLY",
        "ignore.secure.ports.for.testing": "true",
    }


def shared(kerberos: Kerberos) -> Mapping[str, str]:
    """Returns what clients and daemons share."""
    return _core(kerberos) | _logins(kerberos) | _transfer(kerberos)
