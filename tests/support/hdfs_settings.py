"""PURE: the configuration files of a test cluster. Touches no disk and starts nothing.

Sources: hdfs-default.xml and core-default.xml of Hadoop 3.4.2. What a profile adds has modules of its own
(hdfs_kerberos_settings.py and the like); `common_settings` and `daemon_settings` put them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from tests.support import hdfs_ha_settings, hdfs_kerberos_settings, hdfs_kms_settings, hdfs_router_settings
from tests.support.hdfs_plan import HOST, ROUTER, ClusterPlan, datanode_name, journal_name, kms_name, namenode_name

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
class SiteFiles:
    """The site files of one daemon (or of the clients); others are further XML files by name."""

    core: Mapping[str, str]
    hdfs: Mapping[str, str]
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def with_settings(self, settings: Mapping[str, str]) -> SiteFiles:
        """Returns the files with settings that win over theirs."""
        more = divided(settings)
        return SiteFiles({**self.core, **more.core}, {**self.hdfs, **more.hdfs}, self.others)


def _core(plan: ClusterPlan) -> dict[str, str]:
    return {
        "fs.defaultFS": f"hdfs://{plan.host}:{plan.namenode.rpc}",
        "hadoop.caller.context.enabled": "true",
        "hadoop.proxyuser.root.hosts": "*",
        "hadoop.proxyuser.root.groups": "*",
        # users whom the OS does not know would cost the NameNode a failing `id` call each
        "hadoop.user.group.static.mapping.overrides": (
            f"dr.who=;ferry=;hdfs=supergroup;{plan.superuser}=supergroup;alice=staff;bob=staff"
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
        "dfs.namenode.redundancy.interval.seconds": "1",
        "dfs.namenode.reconstruction.pending.timeout-sec": "10",
        "dfs.namenode.replication.work.multiplier.per.iteration": "20",
        "dfs.namenode.replication.max-streams": "20",
        "dfs.namenode.replication.max-streams-hard-limit": "40",
        "dfs.namenode.redundancy.considerLoad": "false",  # or a "busy" one of two DataNodes is refused
        "dfs.namenode.edits.noeditlogchannelflush": "true",  # no fsync: nobody needs these clusters tomorrow
        "dfs.namenode.handler.count": "10",
        "dfs.namenode.service.handler.count": "3",
        "dfs.datanode.handler.count": "3",
        # a DataNode otherwise refuses blocks while the disk has less than 1 GiB free
        "dfs.datanode.round-robin-volume-choosing-policy.additional-available-space": "0",
        "dfs.blockreport.initialDelay": "0",  # no units: Hadoop 2 knows none
        # close() otherwise sleeps 400 ms when the DataNode's report is late: 30 small files a second, not 400
        "dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "10",
        "dfs.client.block.write.locateFollowingBlock.retries": "12",  # writers wait for replicas on a busy machine
        "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
    }


def _namenode_addresses(plan: ClusterPlan) -> Mapping[str, str]:
    if plan.highly_available:
        return hdfs_ha_settings.shared(plan)
    ports = plan.namenode
    return {
        "dfs.namenode.rpc-address": f"{plan.host}:{ports.rpc}",
        "dfs.namenode.http-address": f"{plan.host}:{ports.http}",
        "dfs.namenode.https-address": f"{plan.host}:{ports.https}",
        "dfs.namenode.secondary.http-address": f"{HOST}:0",  # never started; its default would be 0.0.0.0
    }


def is_hdfs_key(key: str) -> bool:
    """Returns whether a setting belongs into hdfs-site.xml; all others go to core-site.xml."""
    return key.startswith("dfs.")


def _profile_settings(plan: ClusterPlan) -> Mapping[str, str]:
    kerberos = plan.profile.kerberos
    secure = hdfs_kerberos_settings.shared(kerberos) if kerberos else {}
    return {**secure, **hdfs_kms_settings.shared(plan), **hdfs_router_settings.shared(plan)}


def common_settings(plan: ClusterPlan) -> SiteFiles:
    """Returns what clients and all daemons share; plan.settings win."""
    own = _core(plan) | _namespace(plan) | _haste()
    settings = divided({**own, **_namenode_addresses(plan), **_profile_settings(plan), **plan.settings})
    return SiteFiles(settings.core, settings.hdfs, hdfs_kms_settings.client_files(plan))


def divided(settings: Mapping[str, str]) -> SiteFiles:
    """Returns settings by the file that they belong into."""
    core = {key: value for key, value in settings.items() if not is_hdfs_key(key)}
    return SiteFiles(core, {key: value for key, value in settings.items() if is_hdfs_key(key)})


def _namenode_own(plan: ClusterPlan, index: int) -> Mapping[str, str]:
    binds = {f"dfs.namenode.{kind}-bind-host": HOST for kind in ("rpc", "http", "https")}
    which = hdfs_ha_settings.namenode_own(index) if plan.highly_available else {}
    return {"dfs.namenode.name.dir": f"file://{plan.folder / namenode_name(index) / 'name'}", **binds, **which}


def _datanode_own(plan: ClusterPlan, index: int) -> Mapping[str, str]:
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
    own = {namenode_name(index): _namenode_own(plan, index) for index in range(len(plan.ports.namenodes))}
    own |= {datanode_name(index): _datanode_own(plan, index) for index in range(len(plan.datanodes))}
    own |= {journal_name(index): hdfs_ha_settings.journal_own(plan, index) for index in range(plan.profile.journals)}
    own |= {ROUTER: hdfs_router_settings.own(plan)} if plan.profile.router else {}
    daemons = {
        name: SiteFiles(_own_core(plan, name, shared.core), {**shared.hdfs, **own[name]}, shared.others) for name in own
    }
    return {**daemons, **{kms_name(index): _kms_files(plan, index, shared) for index in range(plan.profile.kms)}}


def _own_core(plan: ClusterPlan, name: str, core: Mapping[str, str]) -> Mapping[str, str]:
    return {**core, "hadoop.tmp.dir": str(plan.folder / name / "tmp")}


def _kms_files(plan: ClusterPlan, index: int, shared: SiteFiles) -> SiteFiles:
    core = hdfs_kms_settings.core(_own_core(plan, kms_name(index), shared.core), plan)
    return SiteFiles(core, shared.hdfs, hdfs_kms_settings.site_files(plan, index))


def xml(settings: Mapping[str, str]) -> str:
    """Returns a Hadoop configuration file."""
    properties = "".join(
        f"  <property><name>{escape(key)}</name><value>{escape(value)}</value></property>\n"
        for key, value in settings.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<configuration>\n{properties}</configuration>\n'
