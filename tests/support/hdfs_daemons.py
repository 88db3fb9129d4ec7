"""The commands, folders and environments of a test cluster's daemons and clients. Starts nothing itself."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support import hdfs_kms_settings, hdfs_settings
from tests.support.hadoop_jars import VERSION
from tests.support.hadoop_tools import java_command
from tests.support.hdfs_plan import ClusterPlan, datanode_name, journal_name, kms_name, namenode_name
from tests.support.hdfs_settings import SiteFiles

_HADOOP = "org.apache.hadoop"
# Hadoop 2 asks a class of Java's own for the realm's name (KerberosUtil.getDefaultRealm).
_REALM_EXPORT = "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED"
MAKE_TREE = "MakeTree"
_WEB_FOLDERS = ("hdfs", "datanode", "journal", "router", "secondary", "static")


@dataclass(frozen=True, slots=True)
class _Program:
    main_class: str
    heap: str


_PROGRAMS = {
    "namenode": _Program(f"{_HADOOP}.hdfs.server.namenode.NameNode", "256m"),
    "datanode": _Program(f"{_HADOOP}.hdfs.server.datanode.DataNode", "128m"),
    "journal": _Program(f"{_HADOOP}.hdfs.qjournal.server.JournalNode", "96m"),
    "kms": _Program(f"{_HADOOP}.crypto.key.kms.server.KMSWebServer", "128m"),
    "router": _Program(f"{_HADOOP}.hdfs.server.federation.router.DFSRouter", "128m"),
}


def datanodes(plan: ClusterPlan) -> tuple[str, ...]:
    """Returns the names of the DataNodes."""
    return tuple(datanode_name(index) for index in range(len(plan.datanodes)))


def namenodes(plan: ClusterPlan) -> tuple[str, ...]:
    """Returns the names of the NameNodes."""
    return tuple(namenode_name(index) for index in range(len(plan.ports.namenodes)))


def journals(plan: ClusterPlan) -> tuple[str, ...]:
    """Returns the names of the JournalNodes."""
    return tuple(journal_name(index) for index in range(plan.profile.journals))


def key_servers(plan: ClusterPlan) -> tuple[str, ...]:
    """Returns the names of the KMS."""
    return tuple(kms_name(index) for index in range(plan.profile.kms))


def conf_folder(plan: ClusterPlan, daemon: str = "") -> Path:
    """Returns the folder of a daemon's site files, or of the clients'."""
    return plan.folder / daemon / "conf"


def write_configuration(plan: ClusterPlan) -> None:
    """Writes the site files of clients and daemons."""
    write_conf(conf_folder(plan), hdfs_settings.common_settings(plan), "WARN")
    for name, files in hdfs_settings.daemon_settings(plan).items():
        write_conf(conf_folder(plan, name), files, "INFO")
    for index in range(plan.profile.kms):
        (conf_folder(plan, kms_name(index)) / hdfs_kms_settings.PASSWORD_FILE).write_text("opens the key store")


def write_conf(folder: Path, files: SiteFiles, log_level: str) -> None:
    """Writes one folder of site files."""
    for web in _WEB_FOLDERS:  # daemons want webapps/NAME on the class path; hadoop-hdfs.jar has none, empty ones do
        (folder / "webapps" / web / "WEB-INF").mkdir(parents=True, exist_ok=True)
    for name, settings in {"core-site.xml": files.core, "hdfs-site.xml": files.hdfs, **files.others}.items():
        (folder / name).write_text(hdfs_settings.xml(settings))
    (folder / "log4j.properties").write_text(hdfs_settings.LOG4J.replace("LEVEL", log_level))
    (folder / "hadoop-metrics2.properties").write_text(f"*.period={hdfs_settings.METRICS_PERIOD_S}\n")


def daemon_command(plan: ClusterPlan, name: str, *arguments: str) -> tuple[str, ...]:
    """Returns the command of a daemon."""
    kind = name.rstrip("0123456789")
    program, conf = _PROGRAMS[kind], conf_folder(plan, name)
    options = hdfs_kms_settings.java_options(conf, plan.folder / "logs") if kind == "kms" else ()
    options = (*_realm_option(plan), f"-Djava.io.tmpdir={plan.folder}", *options)  # Jetty leaves folders behind
    return java_command(conf, program.heap, program.main_class, arguments, options, plan.profile.version)


def client_command(plan: ClusterPlan, conf: Path, main_class: str, arguments: Iterable[str]) -> tuple[str, ...]:
    """Returns the command of a client program with its site files in `conf`; of the cluster's version of Hadoop.

    MakeTree is always of our own version: Hadoop 2 has not all that it calls, and understands its calls.
    """
    heap, version = ("128m", VERSION) if main_class == MAKE_TREE else ("256m", plan.profile.version)
    return java_command(conf, heap, main_class, arguments, _realm_option(plan), version)


def _realm_option(plan: ClusterPlan) -> tuple[str, ...]:
    kerberos = plan.profile.kerberos
    return (f"-Djava.security.krb5.conf={kerberos.realm.krb5_conf}", _REALM_EXPORT) if kerberos else ()


def client_environment(plan: ClusterPlan, user: str | None) -> Mapping[str, str]:
    """Returns the environment in which Hadoop's clients are that user; None is the superuser.

    With Kerberos "" is somebody without a ticket, and else the user logs in by keytab (UserGroupInformation reads
    KRB5PRINCIPAL and KRB5KEYTAB).
    """
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("KRB5")}
    utf8 = {"LC_ALL": "C.UTF-8"}  # Java takes the coding of arguments and output from it
    return {**inherited, **utf8, **_identity(plan, user)}


def _identity(plan: ClusterPlan, user: str | None) -> Mapping[str, str]:
    kerberos = plan.profile.kerberos
    if kerberos is None:
        return {"HADOOP_USER_NAME": user} if user else {}
    name = plan.superuser if user is None else user
    nobody = kerberos.realm.client_environment()
    keys = ("KRB5_CONFIG", "KRB5CCNAME")
    without = {key: nobody[key] for key in keys}
    if not name:
        return without
    return {**without, "KRB5PRINCIPAL": kerberos.realm.principal(name), "KRB5KEYTAB": str(kerberos.realm.keytab(name))}
