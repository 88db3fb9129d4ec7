"""PURE: the configuration files of a test cluster. Touches no disk and starts nothing.

Sources: hdfs-default.xml and core-default.xml of Hadoop 3.4.2. Another profile (HA, Kerberos, encryption) is another
function that adds its settings to `common_settings`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

HOST = "127.0.0.1"
NAMENODE = "namenode"
METRICS_PERIOD_S = 1  # how old the counters that a daemon shows may be; its default is 10 s

LOG4J = """log4j.rootLogger=LEVEL,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
log4j.logger.org.apache.hadoop.metrics2=WARN
log4j.logger.org.eclipse.jetty=WARN
"""


@dataclass(frozen=True, slots=True)
class NameNodePorts:
    """The NameNode's ports."""

    rpc: int
    http: int
    https: int


@dataclass(frozen=True, slots=True)
class DataNodePorts:
    """One DataNode's ports: data transfer, its own RPC, web."""

    transfer: int
    ipc: int
    http: int
    https: int


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Everything that decides a cluster's configuration. folder holds one folder per daemon, and conf for clients."""

    folder: Path
    namenode: NameNodePorts
    datanodes: tuple[DataNodePorts, ...]
    replication: int
    block_size: int
    superuser: str
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteFiles:
    """The two site files of one daemon (or of the clients)."""

    core: Mapping[str, str]
    hdfs: Mapping[str, str]


def datanode_name(index: int) -> str:
    """Returns the name of the DataNode of that index (0, 1, ...): datanode1, datanode2, ..."""
    return f"datanode{index + 1}"


def _core(plan: ClusterPlan) -> dict[str, str]:
    return {
        "fs.defaultFS": f"hdfs://{HOST}:{plan.namenode.rpc}",
        "hadoop.caller.context.enabled": "true",
        "hadoop.proxyuser.root.hosts": "*",
        "hadoop.proxyuser.root.groups": "*",
        # users whom the OS does not know would cost the NameNode a failing `id` call each
        "hadoop.user.group.static.mapping.overrides": (
            f"dr.who=;hdfs=supergroup;{plan.superuser}=supergroup;alice=staff;bob=staff"
        ),
        # the jars bring no libhadoop: without the Java codec's name each client prints a stack trace
        "hadoop.security.crypto.codec.classes.aes.ctr.nopadding": "org.apache.hadoop.crypto.JceAesCtrCryptoCodec",
    }


def _namespace(plan: ClusterPlan) -> dict[str, str]:
    return {
        "dfs.replication": str(plan.replication),
        "dfs.blocksize": str(plan.block_size),
        "dfs.bytes-per-checksum": "512",
        "dfs.checksum.type": "CRC32C",
        "dfs.webhdfs.enabled": "true",
        "dfs.permissions.enabled": "true",
        "dfs.permissions.superusergroup": "supergroup",
        "dfs.namenode.fs-limits.min-block-size": "512",
        "dfs.namenode.acls.enabled": "true",
        "dfs.namenode.xattrs.enabled": "true",
    }


def _haste() -> dict[str, str]:
    """Returns what makes a small cluster start, notice and repair within seconds."""
    return {
        "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        "dfs.namenode.safemode.extension": "0",
        "dfs.heartbeat.interval": "1",
        "dfs.namenode.heartbeat.recheck-interval": "1000",  # dead after 2 x this + 10 heartbeats = 12 s
        "dfs.namenode.stale.datanode.interval": "3000",
        "dfs.namenode.redundancy.interval.seconds": "1s",
        "dfs.namenode.reconstruction.pending.timeout-sec": "10",
        "dfs.namenode.replication.work.multiplier.per.iteration": "20",
        "dfs.namenode.replication.max-streams": "20",
        "dfs.namenode.replication.max-streams-hard-limit": "40",
        "dfs.namenode.redundancy.considerLoad": "false",  # or a "busy" one of two DataNodes is refused
        "dfs.namenode.edits.noeditlogchannelflush": "true",  # no fsync: nobody needs these clusters tomorrow
        "dfs.namenode.handler.count": "10",
        "dfs.namenode.service.handler.count": "3",
        "dfs.datanode.handler.count": "3",
        "dfs.blockreport.initialDelay": "0s",
        # close() otherwise sleeps 400 ms when the DataNode's report is late: 30 small files a second, not 400
        "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "10",
        "dfs.client.block.write.locateFollowingBlock.retries": "12",  # writers wait for replicas on a busy machine
        "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
    }


def _namenode_addresses(ports: NameNodePorts) -> dict[str, str]:
    return {
        "dfs.namenode.rpc-address": f"{HOST}:{ports.rpc}",
        "dfs.namenode.http-address": f"{HOST}:{ports.http}",
        "dfs.namenode.https-address": f"{HOST}:{ports.https}",
        "dfs.namenode.secondary.http-address": f"{HOST}:0",  # never started; its default would be 0.0.0.0
    }


def common_settings(plan: ClusterPlan) -> SiteFiles:
    """Returns what clients and all daemons share. plan.settings win; those that begin with dfs. go to hdfs-site."""
    core = _core(plan)
    hdfs = _namespace(plan) | _haste() | _namenode_addresses(plan.namenode)
    for key, value in plan.settings.items():
        (hdfs if key.startswith("dfs.") else core)[key] = value
    return SiteFiles(core, hdfs)


def _namenode_own(plan: ClusterPlan) -> dict[str, str]:
    binds = {f"dfs.namenode.{kind}-bind-host": HOST for kind in ("rpc", "http", "https")}
    return {"dfs.namenode.name.dir": f"file://{plan.folder / NAMENODE / 'name'}", **binds}


def _datanode_own(plan: ClusterPlan, index: int) -> dict[str, str]:
    ports = plan.datanodes[index]
    return {
        "dfs.datanode.data.dir": f"file://{plan.folder / datanode_name(index) / 'data'}",
        "dfs.datanode.address": f"{HOST}:{ports.transfer}",
        "dfs.datanode.ipc.address": f"{HOST}:{ports.ipc}",
        "dfs.datanode.http.address": f"{HOST}:{ports.http}",
        "dfs.datanode.https.address": f"{HOST}:{ports.https}",
    }


def daemon_settings(plan: ClusterPlan) -> Mapping[str, SiteFiles]:
    """Returns the site files of each daemon by its name."""
    shared = common_settings(plan)
    own = {NAMENODE: _namenode_own(plan)}
    own |= {datanode_name(index): _datanode_own(plan, index) for index in range(len(plan.datanodes))}
    return {
        name: SiteFiles({**shared.core, "hadoop.tmp.dir": str(plan.folder / name / "tmp")}, {**shared.hdfs, **settings})
        for name, settings in own.items()
    }


def xml(settings: Mapping[str, str]) -> str:
    """Returns a Hadoop configuration file."""
    properties = "".join(
        f"  <property><name>{escape(key)}</name><value>{escape(value)}</value></property>\n"
        for key, value in settings.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<configuration>\n{properties}</configuration>\n'
