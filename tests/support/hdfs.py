"""A real HDFS on this machine for the tests: NameNodes, DataNodes and what a profile adds, each a child process.

127.0.0.1 only. How to use it:

    HdfsCluster.start(folder)                                   one NameNode, two DataNodes, no Kerberos
    HdfsCluster.start(folder, profile=Profile(kerberos=Kerberos(kdc.realm)))

`Profile` and `Kerberos` (hdfs_profile.py) say what there is to choose; tests/conftest.py has one shared cluster of each
kind. cluster.conf_folder is a client's folder of site files; client_folder() writes others with settings of their own.

With Kerberos, `kdc.realm` has krb5.conf, keytabs and principals. cluster.shell(..., user="alice") logs in by
alice's keytab, user="" is somebody without a ticket, and no user is the superuser (hdfs). `ferry` may act as alice and
as nobody else. A cluster offers every protection: client_folder("x", {"hadoop.rpc.protection": "privacy"}) chooses one.
"""

import getpass
import json
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tests.support import hdfs_daemons, hdfs_kms_settings, hdfs_settings
from tests.support.hadoop_tools import COMMAND_S, HeldFile, get_page
from tests.support.hdfs_plan import (
    HOST,
    NAMENODE,
    NAMESERVICE,
    ROUTER,
    ClusterPlan,
    choose_ports,
    kms_name,
    namenode_id,
    ports_wanted,
)
from tests.support.hdfs_profile import SIMPLE, Profile
from tests.support.kdc import SUPERUSER
from tests.support.ports import free_ports
from tests.support.processes import Child, bound_to_us, tail, wait_for
from tests.support.tree import FileSpec, description
from tests.support.tree import folder as tree_folder

_MAKE_THREADS = 16


def _listens(host: str, port: int) -> bool:
    with socket.create_connection((host, port), timeout=5):
        return True


@dataclass(slots=True)
class HdfsCluster:
    """A running cluster. Daemons are named namenode, datanode1, datanode2, ...; `start` makes one."""

    plan: ClusterPlan
    children: dict[str, Child] = field(default_factory=dict)
    observers: set[str] = field(default_factory=set)

    @classmethod
    def start(
        cls,
        folder: Path,
        datanode_count: int = 2,
        replication: int = 2,
        block_size: int = 1 << 20,
        settings: Mapping[str, str] | None = None,
        profile: Profile = SIMPLE,
    ) -> Self:
        """Formats and starts a cluster in an empty folder and returns when it takes work (4 to 15 s)."""
        ports = choose_ports(profile, datanode_count, free_ports(ports_wanted(profile, datanode_count)))
        superuser = SUPERUSER if profile.kerberos else getpass.getuser()
        plan = ClusterPlan(folder.absolute(), ports, replication, block_size, superuser, settings or {}, profile)
        cluster = cls(plan)
        hdfs_daemons.write_configuration(plan)
        try:
            cluster._make_keys()
            cluster._start_journals()
            cluster._format()
            for name in cluster.daemons[plan.profile.journals :]:
                cluster.start_daemon(name)
            cluster.wait_ready()
            if plan.highly_available:
                cluster.fail_over(NAMENODE)
            cluster.wait_router()
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- addresses -------------------------------------------------------------------------------------------

    @property
    def namenode(self) -> str:
        """The (first) NameNode's RPC address, HOST:PORT."""
        return self.namenode_address(NAMENODE)

    def namenode_address(self, name: str) -> str:
        """Returns a NameNode's RPC address, HOST:PORT."""
        return f"{self.plan.host}:{self.plan.ports.namenodes[self.namenodes.index(name)].rpc}"

    @property
    def uri(self) -> str:
        """hdfs://HOST:PORT, without a slash at the end; of a nameservice hdfs://ns1."""
        return f"hdfs://{NAMESERVICE}" if self.plan.highly_available else f"hdfs://{self.namenode}"

    @property
    def conf_folder(self) -> Path:
        """The folder with the clients' core-site.xml and hdfs-site.xml."""
        return hdfs_daemons.conf_folder(self.plan)

    @property
    def daemons(self) -> tuple[str, ...]:
        """All daemon names in the order of their start."""
        helpers = (*hdfs_daemons.journals(self.plan), *hdfs_daemons.key_servers(self.plan))
        return (*helpers, *self.namenodes, *self.datanodes, *((ROUTER,) if self.plan.profile.router else ()))

    @property
    def namenodes(self) -> tuple[str, ...]:
        """The names of the NameNodes: namenode, namenode2, ..."""
        return hdfs_daemons.namenodes(self.plan)

    @property
    def datanodes(self) -> tuple[str, ...]:
        """The names of the DataNodes."""
        return hdfs_daemons.datanodes(self.plan)

    def datanode_address(self, name: str) -> str:
        """Returns a DataNode's data transfer address, HOST:PORT."""
        return f"{HOST}:{self.plan.datanodes[self.datanodes.index(name)].transfer}"

    @property
    def router(self) -> str:
        """The router's RPC address, HOST:PORT; clients speak to it as to a NameNode."""
        ports = self.plan.ports.router
        if ports is None:
            raise ValueError("this cluster has no router: start one with Profile(router=True)")
        return f"{self.plan.host}:{ports.rpc}"

    @property
    def kms_uri(self) -> str:
        """The key servers as clients name them: kms://http@HOST;HOST:PORT/kms."""
        return hdfs_kms_settings.uri(self.plan)

    # ---- daemons ---------------------------------------------------------------------------------------------

    def _log(self, name: str) -> Path:
        return self.plan.folder / "logs" / f"{name}.log"

    def _format(self) -> None:
        arguments = ("-format", "-nonInteractive", "-clusterid", "CID-blockferry-test")
        command = hdfs_daemons.daemon_command(self.plan, NAMENODE, *arguments)
        self._log("format").parent.mkdir(parents=True, exist_ok=True)
        with self._log("format").open("wb") as log:
            done = subprocess.run(bound_to_us(command), stdout=log, stderr=log, timeout=COMMAND_S)
        if done.returncode:
            raise RuntimeError(f"formatting the NameNode failed; {self._log('format')}:\n{tail(self._log('format'))}")
        for other in self.namenodes[1:]:  # what -bootstrapStandby would fetch with a JVM of its own
            shutil.copytree(self.plan.folder / NAMENODE / "name", self.plan.folder / other / "name")

    def _start_journals(self) -> None:
        for name in hdfs_daemons.journals(self.plan):
            self.start_daemon(name)
        for name, ports in zip(hdfs_daemons.journals(self.plan), self.plan.ports.journals, strict=True):
            self.children[name].wait_ready(partial(_listens, HOST, ports.rpc))

    def _make_keys(self) -> None:
        """Fills the key store, which a KMS reads only when it starts."""
        if not self.plan.profile.kms:
            return
        conf = hdfs_daemons.conf_folder(self.plan, kms_name(0))
        store = hdfs_kms_settings.key_store(self.plan)
        wanted = (word for key, bits in hdfs_kms_settings.KEYS.items() for word in (key, str(bits)))
        self.java(hdfs_daemons.MAKE_TREE, "keys", store, *wanted, conf=conf)

    def start_daemon(self, name: str) -> None:
        """Starts one daemon (again, with its old data and ports); does not wait for it."""
        if name in self.children and self.children[name].alive():
            raise RuntimeError(f"{name} runs already")
        command = hdfs_daemons.daemon_command(self.plan, name)
        self.children[name] = Child.start(name, command, self._log(name))

    def restart_datanode(self, name: str, settings: Mapping[str, str]) -> None:
        """Ends a DataNode and starts it with settings over its own; without any, as it was. Waits until it serves."""
        self.kill(name)
        files = hdfs_settings.daemon_settings(self.plan)[name]
        hdfs_daemons.write_conf(hdfs_daemons.conf_folder(self.plan, name), files.with_settings(settings), "INFO")
        self.start_daemon(name)
        port = self.plan.datanodes[self.datanodes.index(name)].http
        query = "/jmx?qry=Hadoop:service=DataNode,name=DataNodeInfo"
        self.children[name].wait_ready(lambda: "RUNNING" in get_page(port, query))

    def pid(self, name: str) -> int:
        """Returns a daemon's process id."""
        return self.children[name].pid

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to a daemon. SIGSTOP hangs it, SIGCONT lets it go on; after SIGKILL it is gone on return."""
        self.children[name].signal(number)

    def runs(self, name: str) -> bool:
        """Returns whether a daemon was started and lives (a stopped one counts as living)."""
        return name in self.children and self.children[name].alive()

    def wait_ready(self, deadline_s: float = 90.0) -> None:
        """Waits until the NameNodes are out of safe mode and know every DataNode whose process runs; KMS listen."""

        def ready() -> bool:
            for child in self.children.values():
                if not child.alive() and child.process.returncode != -signal.SIGKILL:
                    raise RuntimeError(f"{child.name} ended by itself; {child.log}:\n{tail(child.log)}")
            namenodes = tuple(name for name in self.namenodes if self.runs(name))
            return all(self._kms_ready()) and all(self._knows_datanodes(name) for name in namenodes)

        try:
            wait_for("HDFS to be ready", ready, deadline_s=deadline_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{tail(self._log(NAMENODE))}") from error

    def wait_router(self) -> None:
        """Waits until the router, if there is one, knows the active NameNode."""
        ports = self.plan.ports.router
        if ports is not None and self.runs(ROUTER):
            self.children[ROUTER].wait_ready(lambda: "ACTIVE" in self._router_view(ports.http))

    def _router_view(self, port: int) -> str:
        beans = json.loads(get_page(port, "/jmx?qry=Hadoop:service=Router,name=FederationState"))["beans"]
        return str(beans[0]["Namenodes"]) if beans else ""

    def mount(self, path: str, target: str) -> None:
        """Mounts a folder of the nameservice at a path of the router, and returns when it is seen there (3 s)."""
        self.java("org.apache.hadoop.hdfs.tools.federation.RouterAdmin", "-add", path, NAMESERVICE, target)
        wait_for(f"the mount {path}", lambda: self._is_mounted(path))

    def _is_mounted(self, path: str) -> bool:
        try:
            self.shell(f"-Dfs.defaultFS=hdfs://{self.router}", "-test", "-e", path)
        except RuntimeError:  # a router looks at its mounts now and then
            return False
        return True

    def _kms_ready(self) -> Iterable[bool]:
        for index, name in enumerate(hdfs_daemons.key_servers(self.plan)):
            yield not self.runs(name) or _listens(hdfs_kms_settings.address(index), self.plan.ports.kms)

    def _knows_datanodes(self, namenode: str) -> bool:
        running = {name for name in self.datanodes if self.runs(name)}
        state = self._jmx("FSNamesystemState", namenode)["FSState"]
        return state == "Operational" and running <= set(self.live_datanodes(namenode))

    def _jmx(self, bean: str, namenode: str) -> Mapping[str, str]:
        beans = json.loads(get_page(self._http_port(namenode), f"/jmx?qry=Hadoop:service=NameNode,name={bean}"))[
            "beans"
        ]
        if not beans:
            raise ValueError(f"{namenode} has no bean {bean} yet")
        return dict(beans[0])

    def _http_port(self, namenode: str) -> int:
        return self.plan.ports.namenodes[self.namenodes.index(namenode)].http

    def live_datanodes(self, namenode: str = NAMENODE) -> tuple[str, ...]:
        """Returns the names of the DataNodes that a NameNode holds alive (a killed one stays for about 12 s)."""
        live = json.loads(self._jmx("NameNodeInfo", namenode)["LiveNodes"]).values()
        addresses = {node["xferaddr"] for node in live}
        return tuple(name for name in self.datanodes if self.datanode_address(name) in addresses)

    def version(self) -> str:
        """Returns the version of Hadoop that the NameNode says it is."""
        return self._jmx("NameNodeInfo", NAMENODE)["SoftwareVersion"]

    # ---- fail-over -------------------------------------------------------------------------------------------

    def state(self, namenode: str) -> str:
        """Returns active, standby or observer; "" for a NameNode that does not run."""
        return self._jmx("NameNodeStatus", namenode)["State"] if self.runs(namenode) else ""

    def active(self) -> str | None:
        """Returns the name of the active NameNode, or None."""
        return next((name for name in self.namenodes if self.state(name) == "active"), None)

    def fail_over(self, to: str) -> None:
        """Makes a NameNode the active one (1 to 2 s); the one before becomes standby, or is dead.

        A NameNode that is started again is standby; so are all after all were killed.
        """
        before = self.active()
        if before is None:
            self.ha_admin("-transitionToActive", "--forceactive", self._id(to))
        elif before != to:
            self.ha_admin("-failover", self._id(before), self._id(to))

    def make_observer(self, namenode: str) -> None:
        """Turns a standby into an observer, which answers reads and never becomes active."""
        self.observers.add(namenode)
        self.ha_admin("-transitionToObserver", self._id(namenode))

    def _id(self, namenode: str) -> str:
        return namenode_id(self.namenodes.index(namenode))

    def ha_admin(self, *arguments: str) -> str:
        """Runs DFSHAAdmin: ha_admin("-getServiceState", "nn1")."""
        return self.java("org.apache.hadoop.hdfs.tools.DFSHAAdmin", *arguments)

    def restore(self) -> None:
        """Starts what was killed, lets go on what was stopped; the first NameNode is active, observers observe."""
        for name in self.daemons:
            if self.runs(name):
                self.kill(name, signal.SIGCONT)
            else:
                self.start_daemon(name)
        self.wait_ready()
        if self.plan.highly_available:
            self.fail_over(NAMENODE)
            self.wait_router()
        for name in self.observers:
            if self.state(name) != "observer":
                self.make_observer(name)

    def stop(self) -> None:
        """Ends all daemons; the folder stays."""
        for child in reversed(self.children.values()):
            if child.alive():
                child.process.send_signal(signal.SIGCONT)
                child.process.terminate()
        for child in self.children.values():
            child.stop()

    # ---- Hadoop's own tools ----------------------------------------------------------------------------------

    def client_folder(self, name: str, settings: Mapping[str, str]) -> Path:
        """Writes another folder of clients' site files, with settings over the cluster's own, and returns it."""
        folder = self.plan.folder / "clients" / name
        files = hdfs_settings.common_settings(self.plan).with_settings(settings)
        hdfs_daemons.write_conf(folder, files, "WARN")
        return folder

    def java(self, main_class: str, *arguments: str, user: str | None = None, conf: Path | None = None) -> str:
        """Runs a main class of Hadoop's jars as a client (about 1 s) and returns its standard output.

        conf is a folder of site files (see client_folder). RuntimeError holds the output when it exits with another
        code than 0.
        """
        done = self._run_java(conf or self.conf_folder, user, main_class, *arguments)
        if done.returncode:
            said = f"{done.stdout}{done.stderr}"[-4000:]
            raise RuntimeError(f"{main_class} {arguments} exited with {done.returncode}: {said}")
        return done.stdout

    def _run_java(
        self, conf: Path, user: str | None, main_class: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            bound_to_us(hdfs_daemons.client_command(self.plan, conf, main_class, arguments)),
            env=hdfs_daemons.client_environment(self.plan, user),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=COMMAND_S,
        )

    def shell(self, *arguments: str, user: str | None = None, conf: Path | None = None) -> str:
        """Runs FsShell: shell("-put", "a", "/a"). Not for hundreds of files: see make."""
        return self.java("org.apache.hadoop.fs.FsShell", *arguments, user=user, conf=conf)

    def admin(self, *arguments: str) -> str:
        """Runs DFSAdmin: admin("-safemode", "enter")."""
        return self.java("org.apache.hadoop.hdfs.tools.DFSAdmin", *arguments)

    def erasure(self, *arguments: str) -> str:
        """Runs ECAdmin: erasure("-getPolicy", "-path", "/f")."""
        return self.java("org.apache.hadoop.hdfs.tools.ECAdmin", *arguments)

    def make_erasure_folder(self, path: str, policy: str) -> None:
        """Makes a folder whose files are erasure coded, such as by RS-3-2-1024k."""
        self.make([tree_folder(path, erasure_policy=policy)])

    def make_encryption_zone(self, path: str, key: str) -> None:
        """Makes a folder, open to everybody, whose files are encrypted with a key of hdfs_kms_settings.KEYS."""
        self.make([tree_folder(path, mode=0o777, encryption_key=key)])

    # ---- files -----------------------------------------------------------------------------------------------

    def make(self, files: Iterable[FileSpec], at_once: int = _MAKE_THREADS) -> None:
        """Makes files and folders in one JVM as superuser, 16 at a time (about 400 small files a second).

        `at_once`: each writer of an erasure-coded file holds two stripes and more, and the JVM has 256 MB: take 4.
        """
        listing = self.plan.folder / "tree.tsv"
        listing.write_text(description(files), encoding="ascii")
        self.java(hdfs_daemons.MAKE_TREE, "make", str(listing), str(at_once))

    def hold_open(self, path: str, size: int, seed: int, known: int = 0) -> HeldFile:
        """Makes a file of content(seed, size), flushes it and leaves it open until the handle is closed.

        The NameNode knows the length of the complete blocks, and that there are at least `known` bytes.
        """
        arguments = ("hold", quote(path), str(size), str(seed), str(known))
        command = hdfs_daemons.client_command(self.plan, self.conf_folder, hdfs_daemons.MAKE_TREE, arguments)
        with self._log("held").open("ab") as log:
            process = subprocess.Popen(
                bound_to_us(command),
                env=hdfs_daemons.client_environment(self.plan, None),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert process.stdout is not None
        if process.stdout.readline() != b"held\n":
            process.kill()
            raise RuntimeError(f"{path} could not be held open; {tail(self._log('held'))}")
        return HeldFile(process)

    def block_files(self, datanode: str) -> tuple[Path, ...]:
        """Returns the paths of a DataNode's block files (not the .meta ones), by block id; damage them at will."""
        found = (self.plan.folder / datanode / "data").rglob("blk_*")
        blocks = (path for path in found if not path.name.endswith(".meta"))
        return tuple(sorted(blocks, key=lambda path: abs(int(path.name.removeprefix("blk_")))))

    def fsck(self, path: str) -> str:
        """Returns the text of Hadoop's fsck of a file with its blocks, open or not.

        FileNotFoundError for a missing path, and for one with any of & < > " ' which Hadoop's fsck page cannot take.
        """
        if self.plan.profile.kerberos:
            return self._existing(path, self._fsck_tool(path))
        query = f"ugi={self.plan.superuser}&files=1&blocks=1&openforwrite=1&path={quote(path, safe='')}"
        return self._existing(path, get_page(self._http_port(self.active() or NAMENODE), f"/fsck?{query}"))

    def _fsck_tool(self, path: str) -> str:
        """Returns the report by Hadoop's own tool (1 s more), which shows its ticket to the web page."""
        tool = ("org.apache.hadoop.hdfs.tools.DFSck", path, "-files", "-blocks", "-openforwrite")
        return self._run_java(self.conf_folder, None, *tool).stdout

    def _existing(self, path: str, report: str) -> str:
        if re.search(r"^Path '.*' does not exist$", report, re.MULTILINE):
            raise FileNotFoundError(f"fsck finds no {path!r}")
        return report

    def block_names(self, path: str) -> tuple[str, ...]:
        """Returns the names of a file's blocks in order, such as blk_1073741825: the file names on the DataNodes."""
        return tuple(re.findall(r"^\d+\. \S+:(blk_-?\d+)_\d+ ", self.fsck(path), re.MULTILINE))

    def replicas(self, path: str, block: int = 0) -> Mapping[str, Path]:
        """Returns the files on disk that hold one block of a file, by DataNode."""
        name = self.block_names(path)[block]
        return {node: file for node in self.datanodes for file in self.block_files(node) if file.name == name}
