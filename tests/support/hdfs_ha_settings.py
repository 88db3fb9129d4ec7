"""PURE: what several NameNodes add to a test cluster's site files: nameservice "ns1", fail-over by hand only."""

from collections.abc import Mapping

from tests.support.hdfs_plan import HOST, NAMESERVICE, ClusterPlan, journal_name, namenode_id

_PROVIDER = "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider"


def _addresses(plan: ClusterPlan) -> dict[str, str]:
    found: dict[str, str] = {}
    for index, ports in enumerate(plan.ports.namenodes):
        for kind, port in (("rpc", ports.rpc), ("http", ports.http), ("https", ports.https)):
            found[f"dfs.namenode.{kind}-address.{NAMESERVICE}.{namenode_id(index)}"] = f"{plan.host}:{port}"
    return found


def _shared_edits(plan: ClusterPlan) -> str:
    if not plan.ports.journals:
        return f"file://{plan.folder / 'shared-edits'}"
    return f"qjournal://{';'.join(f'{plan.host}:{ports.rpc}' for ports in plan.ports.journals)}/{NAMESERVICE}"


def shared(plan: ClusterPlan) -> Mapping[str, str]:
    """Returns what clients and daemons share."""
    names = ",".join(namenode_id(index) for index in range(len(plan.ports.namenodes)))
    return {
        "fs.defaultFS": f"hdfs://{NAMESERVICE}",
        "dfs.nameservices": NAMESERVICE,
        f"dfs.ha.namenodes.{NAMESERVICE}": names,
        f"dfs.client.failover.proxy.provider.{NAMESERVICE}": _PROVIDER,
        "dfs.client.failover.sleep.base.millis": "200",
        "dfs.client.failover.sleep.max.millis": "2000",
        "dfs.ha.fencing.methods": "shell(/bin/true)",
        "dfs.ha.automatic-failover.enabled": "false",
        "dfs.ha.tail-edits.period": "1s",
        "dfs.ha.tail-edits.in-progress": "true",  # a standby or observer that follows at once
        "dfs.ha.log-roll.period": "5s",
        "dfs.namenode.state.context.enabled": "true",  # clients may ask an observer for a state not older than theirs
        "dfs.namenode.shared.edits.dir": _shared_edits(plan),
        **_addresses(plan),
    }


def namenode_own(index: int) -> Mapping[str, str]:
    """Returns what tells a NameNode which of them it is: all have one address."""
    return {"dfs.ha.namenode.id": namenode_id(index), "dfs.nameservice.id": NAMESERVICE}


def journal_own(plan: ClusterPlan, index: int) -> Mapping[str, str]:
    """Returns the settings of one JournalNode."""
    ports = plan.ports.journals[index]
    return {
        "dfs.journalnode.edits.dir": str(plan.folder / journal_name(index) / "edits"),
        "dfs.journalnode.rpc-address": f"{HOST}:{ports.rpc}",
        "dfs.journalnode.http-address": f"{HOST}:{ports.http}",
        "dfs.journalnode.https-address": f"{HOST}:{ports.https}",
    }
