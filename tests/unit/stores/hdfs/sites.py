"""Site files for tests: out of plain dictionaries."""

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from stores.hdfs.config.site import Property, SiteConfig


def site(properties: Mapping[str, str]) -> SiteConfig:
    """Returns what a file with these properties says; each on a line of its own, the first on line 1."""
    return SiteConfig(
        Property(name, value, False, "hdfs-site.xml", line)
        for line, (name, value) in enumerate(properties.items(), start=1)
    )


def xml(properties: Mapping[str, str], more: str = "") -> bytes:
    """Returns a site file. `more` is XML that comes after the properties."""
    lines = (
        f"<property><name>{escape(name)}</name><value>{escape(value)}</value></property>"
        for name, value in properties.items()
    )
    return "\n".join(("<configuration>", *lines, more, "</configuration>")).encode()


def write(folder: Path, core: Mapping[str, str], hdfs: Mapping[str, str]) -> str:
    """Writes both site files and returns their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "core-site.xml").write_bytes(xml(core))
    (folder / "hdfs-site.xml").write_bytes(xml(hdfs))
    return str(folder)


HA = {
    "dfs.nameservices": "ns1,ns2",
    "dfs.ha.namenodes.ns1": "nn1, nn2",
    "dfs.namenode.rpc-address.ns1.nn1": "master1.example:8020",
    "dfs.namenode.rpc-address.ns1.nn2": "master2.example:8020",
    "dfs.namenode.servicerpc-address.ns1.nn1": "master1.example:8021",
    "dfs.namenode.rpc-address.ns2": "other.example:9000",
}
