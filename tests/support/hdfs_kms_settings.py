"""PURE: the site files of a test cluster's key servers (KMS), and what a cluster with them adds to its own.

The servers share one key store and one port, each at an address of its own (127.0.0.1, 127.0.0.2, ...): a client's URI
has several hosts but only one port (KMSClientProvider.Factory). A KMS reads the store when it starts, so all keys are
made before.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.support import hdfs_tls
from tests.support.hdfs_plan import ClusterPlan, kms_name
from tests.support.kdc import SERVICE_HOST

PASSWORD_FILE = "kms.password"  # on the class path of the KMS
KEYS = {"key128": 128, "key256": 256}
STRANGER = "bob"  # a user for whom no KMS opens any key
_RIGHTS = (
    "CREATE", "DELETE", "ROLLOVER", "GET", "GET_KEYS", "GET_METADATA", "SET_KEY_MATERIAL", "GENERATE_EEK",
    "DECRYPT_EEK",
)  # fmt: skip
_KEY_RIGHTS = ("MANAGEMENT", "GENERATE_EEK", "DECRYPT_EEK", "READ")


def address(index: int) -> str:
    """Returns the IPv4 address of the KMS of that index (0, 1, ...)."""
    return f"127.0.0.{index + 1}"


def host(plan: ClusterPlan, index: int) -> str:
    """Returns how clients name that KMS; with Kerberos there is a principal HTTP/HOST."""
    return SERVICE_HOST if plan.profile.kerberos and index == 0 else address(index)


def uri(plan: ClusterPlan) -> str:
    """Returns the address of all key servers as clients write it: kms://http@HOST;HOST:PORT/kms, or kms://https@..."""
    hosts = ";".join(host(plan, index) for index in range(plan.profile.kms))
    scheme = "https" if plan.profile.kms_stores else "http"
    return f"kms://{scheme}@{hosts}:{plan.ports.kms}/kms"


def key_store(plan: ClusterPlan) -> str:
    """Returns the address of the key store file, which lies with the first KMS."""
    return f"jceks://file@{plan.folder / kms_name(0) / 'keys.jceks'}"


def shared(plan: ClusterPlan) -> Mapping[str, str]:
    """Returns what clients and daemons of a cluster with a KMS share."""
    if not plan.profile.kms:
        return {}
    return {"hadoop.security.key.provider.path": uri(plan), "dfs.encryption.key.provider.uri": uri(plan)}


def _http_principal(index: int) -> str:
    return "HTTP" if index == 0 else f"HTTP/{address(index)}"


def _authentication(plan: ClusterPlan, index: int) -> Mapping[str, str]:
    kerberos = plan.profile.kerberos
    prefix = "hadoop.kms.authentication"
    if kerberos is None:
        return {f"{prefix}.type": "simple"}
    return {
        f"{prefix}.type": "kerberos",
        f"{prefix}.kerberos.principal": kerberos.realm.principal(_http_principal(index)),
        f"{prefix}.kerberos.keytab": str(kerberos.realm.keytab(_http_principal(index))),
        f"{prefix}.kerberos.name.rules": "DEFAULT",
    }


def _site(plan: ClusterPlan, index: int) -> Mapping[str, str]:
    proxies = {plan.superuser: "*", "ferry": "alice"}
    return {
        "hadoop.kms.http.host": address(index),
        "hadoop.kms.http.port": str(plan.ports.kms),
        "hadoop.kms.key.provider.uri": key_store(plan),
        "hadoop.security.keystore.java-keystore-provider.password-file": PASSWORD_FILE,
        "hadoop.kms.authentication.signer.secret.provider": "random",
        "hadoop.kms.ssl.enabled": str(plan.profile.kms_stores is not None).lower(),
        **_authentication(plan, index),
        **{f"hadoop.kms.proxyuser.{user}.users": allowed for user, allowed in proxies.items()},
        **{f"hadoop.kms.proxyuser.{user}.hosts": "*" for user in proxies},
    }


def _rights() -> Mapping[str, str]:
    everybody = {f"hadoop.kms.acl.{right}": "*" for right in _RIGHTS}
    every_key = {f"default.key.acl.{right}": "*" for right in _KEY_RIGHTS}
    return {**everybody, **every_key, "hadoop.kms.blacklist.DECRYPT_EEK": STRANGER}


def site_files(plan: ClusterPlan, index: int) -> Mapping[str, Mapping[str, str]]:
    """Returns the KMS' own site files by name, beside core-site.xml."""
    stores = plan.profile.kms_stores
    tls = {"ssl-server.xml": hdfs_tls.server_settings(stores)} if stores else {}
    return {"kms-site.xml": _site(plan, index), "kms-acls.xml": _rights(), **tls}


def client_files(plan: ClusterPlan) -> Mapping[str, Mapping[str, str]]:
    """Returns the site files, beside the usual ones, of whoever asks the KMS."""
    stores = plan.profile.kms_stores
    return {"ssl-client.xml": hdfs_tls.client_settings(stores)} if stores else {}


def core(settings: Mapping[str, str], plan: ClusterPlan) -> Mapping[str, str]:
    """Returns the KMS' core-site.xml, which must not name the KMS as the place of keys."""
    password = {"hadoop.security.keystore.java-keystore-provider.password-file": PASSWORD_FILE}
    return {**{key: value for key, value in settings.items() if key not in shared(plan)}, **password}


def java_options(conf: Path, logs: Path) -> tuple[str, ...]:
    """Returns the options of Java without which a KMS does not find its files, and never listens."""
    folders = {"kms.config.dir": conf, "kms.log.dir": logs, "kms.temp.dir": conf.parent / "tmp"}
    opens = "--add-opens=java.base/java.lang=ALL-UNNAMED"
    log4j = f"-Dlog4j.configuration=file:{conf / 'log4j.properties'}"
    return (opens, log4j, *(f"-D{name}={folder}" for name, folder in folders.items()))
