"""PURE: the site files of a test cluster's router (router-based federation), which stands before nameservice "ns1".

No Kerberos: a router keeps its delegation tokens in a ZooKeeper (ZKDelegationTokenSecretManager), which we do not have.
"""

from collections.abc import Mapping

from tests.support.hdfs_plan import HOST, NAMESERVICE, ROUTER, ClusterPlan, namenode_id

_DRIVER = "org.apache.hadoop.hdfs.server.federation.store.driver.impl.StateStoreFileImpl"
_SOON_MS = "1000"  # how often a router asks NameNodes and its store, in milliseconds


def shared(plan: ClusterPlan) -> Mapping[str, str]:
    """Returns what the router and its admin tool share; it does no other daemon any harm."""
    ports = plan.ports.router
    if ports is None:
        return {}
    listening = {"rpc": ports.rpc, "admin": ports.admin, "http": ports.http, "https": ports.https}
    return {f"dfs.federation.router.{kind}-address": f"{plan.host}:{port}" for kind, port in listening.items()}


def own(plan: ClusterPlan) -> Mapping[str, str]:
    """Returns the router's own settings."""
    monitored = (f"{NAMESERVICE}.{namenode_id(index)}" for index in range(len(plan.ports.namenodes)))
    return {
        **{f"dfs.federation.router.{kind}-bind-host": HOST for kind in ("rpc", "admin", "http", "https")},
        "dfs.federation.router.default.nameserviceId": NAMESERVICE,
        "dfs.federation.router.monitor.namenode": ",".join(monitored),
        "dfs.federation.router.monitor.localnamenode.enable": "false",
        "dfs.federation.router.store.driver.class": _DRIVER,
        "dfs.federation.router.store.driver.file.directory": str(plan.folder / ROUTER / "store"),
        "dfs.federation.router.cache.ttl": _SOON_MS,
        "dfs.federation.router.heartbeat.interval": _SOON_MS,
        "dfs.federation.router.safemode.enable": "false",  # it waits half a minute for other routers' news
        "dfs.federation.router.handler.count": "5",
        "dfs.federation.router.reader.count": "1",
        "dfs.federation.router.handler.queue.size": "100",
    }
