"""A real HDFS on this machine for the tests: one NameNode and some DataNodes, each a child process. 127.0.0.1 only."""

import getpass
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tests.support import hdfs_settings
from tests.support.hadoop_tools import COMMAND_S, HeldFile, get_page, java_command
from tests.support.hdfs_settings import HOST, NAMENODE, ClusterPlan, DataNodePorts, NameNodePorts, SiteFiles
from tests.support.ports import free_ports
from tests.support.processes import Child, bound_to_us, tail, wait_for
from tests.support.tree import FileSpec, description

_NAMENODE_CLASS = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_DATANODE_CLASS = "org.apache.hadoop.hdfs.server.datanode.DataNode"
_HEAP = {NAMENODE: "256m"}
_DATANODE_HEAP = "128m"
_WEB_FOLDERS = ("hdfs", "datanode", "secondary", "static")
_MAKE_THREADS = 16


def _write_conf(folder: Path, files: SiteFiles, log_level: str) -> None:
    for web in _WEB_FOLDERS:  # daemons want webapps/NAME on the class path; hadoop-hdfs.jar has none, empty ones do
        (folder / "webapps" / web / "WEB-INF").mkdir(parents=True, exist_ok=True)
    (folder / "core-site.xml").write_text(hdfs_settings.xml(files.core))
    (folder / "hdfs-site.xml").write_text(hdfs_settings.xml(files.hdfs))
    (folder / "log4j.properties").write_text(hdfs_settings.LOG4J.replace("LEVEL", log_level))
    (folder / "hadoop-metrics2.properties").write_text(f"*.period={hdfs_settings.METRICS_PERIOD_S}\n")


@dataclass(slots=True)
class HdfsCluster:
    """A running cluster. Daemons are named namenode, datanode1, datanode2, ...; `start` makes one."""

    plan: ClusterPlan
    children: dict[str, Child] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        folder: Path,
        datanode_count: int = 2,
        replication: int = 2,
        block_size: int = 1 << 20,
        settings: Mapping[str, str] | None = None,
    ) -> Self:
        """Formats and starts a cluster in an empty folder and returns when it takes work (4 to 15 s)."""
        ports = free_ports(3 + 4 * datanode_count)
        datanodes = tuple(DataNodePorts(*ports[at : at + 4]) for at in range(3, len(ports), 4))
        superuser = getpass.getuser()
        plan = ClusterPlan(
            folder.absolute(), NameNodePorts(*ports[:3]), datanodes, replication, block_size, superuser, settings or {}
        )
        cluster = cls(plan)
        cluster._write_configuration()
        cluster._format()
        try:
            for name in cluster.daemons:
                cluster.start_daemon(name)
            cluster.wait_ready()
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
        """The NameNode's RPC address, HOST:PORT."""
        return f"{HOST}:{self.plan.namenode.rpc}"

    @property
    def uri(self) -> str:
        """hdfs://HOST:PORT, without a slash at the end."""
        return f"hdfs://{self.namenode}"

    @property
    def conf_folder(self) -> Path:
        """The folder with the clients' core-site.xml and hdfs-site.xml."""
        return self.plan.folder / "conf"

    @property
    def daemons(self) -> tuple[str, ...]:
        """All daemon names, the NameNode first."""
        return (NAMENODE, *self.datanodes)

    @property
    def datanodes(self) -> tuple[str, ...]:
        """The names of the DataNodes."""
        return tuple(hdfs_settings.datanode_name(index) for index in range(len(self.plan.datanodes)))

    def datanode_address(self, name: str) -> str:
        """Returns a DataNode's data transfer address, HOST:PORT."""
        return f"{HOST}:{self.plan.datanodes[self.datanodes.index(name)].transfer}"

    # ---- daemons ---------------------------------------------------------------------------------------------

    def _write_configuration(self) -> None:
        _write_conf(self.conf_folder, hdfs_settings.common_settings(self.plan), "WARN")
        for name, files in hdfs_settings.daemon_settings(self.plan).items():
            _write_conf(self._conf(name), files, "INFO")

    def _conf(self, name: str) -> Path:
        return self.plan.folder / name / "conf"

    def _log(self, name: str) -> Path:
        return self.plan.folder / "logs" / f"{name}.log"

    def _format(self) -> None:
        arguments = ("-format", "-nonInteractive", "-clusterid", "CID-blockferry-test")
        command = java_command(self._conf(NAMENODE), _HEAP[NAMENODE], _NAMENODE_CLASS, arguments)
        self._log("format").parent.mkdir(parents=True, exist_ok=True)
        with self._log("format").open("wb") as log:
            done = subprocess.run(bound_to_us(command), stdout=log, stderr=log, timeout=COMMAND_S)
        if done.returncode:
            raise RuntimeError(f"formatting the NameNode failed; {self._log('format')}:\n{tail(self._log('format'))}")

    def start_daemon(self, name: str) -> None:
        """Starts one daemon (again, with its old data and ports); does not wait for it."""
        if name in self.children and self.children[name].alive():
            raise RuntimeError(f"{name} runs already")
        main_class = _NAMENODE_CLASS if name == NAMENODE else _DATANODE_CLASS
        command = java_command(self._conf(name), _HEAP.get(name, _DATANODE_HEAP), main_class, ())
        self.children[name] = Child.start(name, command, self._log(name))

    def pid(self, name: str) -> int:
        """Returns a daemon's process id."""
        return self.children[name].pid

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to a daemon. SIGSTOP hangs it, SIGCONT lets it go on; after SIGKILL it is gone on return."""
        self.children[name].signal(number)

    def wait_ready(self, deadline_s: float = 90.0) -> None:
        """Waits until the NameNode is out of safe mode and knows every DataNode whose process runs."""

        def ready() -> bool:
            for child in self.children.values():
                if not child.alive() and child.process.returncode != -signal.SIGKILL:
                    raise RuntimeError(f"{child.name} ended by itself; {child.log}:\n{tail(child.log)}")
            running = tuple(name for name in self.datanodes if name in self.children and self.children[name].alive())
            state = self._jmx("FSNamesystemState")["FSState"]
            return state == "Operational" and set(running) <= set(self.live_datanodes())

        try:
            wait_for("HDFS to be ready", ready, deadline_s=deadline_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{tail(self._log(NAMENODE))}") from error

    def _jmx(self, bean: str) -> Mapping[str, str]:
        beans = json.loads(get_page(self.plan.namenode.http, f"/jmx?qry=Hadoop:service=NameNode,name={bean}"))["beans"]
        if not beans:
            raise ValueError(f"the NameNode has no bean {bean} yet")
        return dict(beans[0])

    def live_datanodes(self) -> tuple[str, ...]:
        """Returns the names of the DataNodes that the NameNode holds alive (a killed one stays for about 12 s)."""
        live = json.loads(self._jmx("NameNodeInfo")["LiveNodes"]).values()
        addresses = {node["xferaddr"] for node in live}
        return tuple(name for name in self.datanodes if self.datanode_address(name) in addresses)

    def stop(self) -> None:
        """Ends all daemons; the folder stays."""
        for child in reversed(self.children.values()):
            if child.alive():
                child.process.send_signal(signal.SIGCONT)
                child.process.terminate()
        for child in self.children.values():
            child.stop()

    # ---- Hadoop's own tools ----------------------------------------------------------------------------------

    def java(self, main_class: str, *arguments: str, user: str | None = None) -> str:
        """Runs a main class of Hadoop's jars as a client (about 1 s) and returns its standard output.

        RuntimeError holds the output when it exits with another code than 0.
        """
        command = java_command(self.conf_folder, "256m", main_class, arguments)
        done = subprocess.run(
            bound_to_us(command),
            env=self._environment(user),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
        )
        output = done.stdout.decode(errors="replace")
        if done.returncode:
            errors = done.stderr.decode(errors="replace")
            raise RuntimeError(f"{main_class} {arguments} exited with {done.returncode}: {(output + errors)[-4000:]}")
        return output

    def _environment(self, user: str | None) -> dict[str, str]:
        utf8 = {"LC_ALL": "C.UTF-8"}  # Java takes the coding of arguments and output from it
        return {**os.environ, **utf8, **({"HADOOP_USER_NAME": user} if user else {})}

    def shell(self, *arguments: str, user: str | None = None) -> str:
        """Runs FsShell: shell("-put", "a", "/a"). Not for hundreds of files: see make."""
        return self.java("org.apache.hadoop.fs.FsShell", *arguments, user=user)

    def admin(self, *arguments: str) -> str:
        """Runs DFSAdmin: admin("-safemode", "enter")."""
        return self.java("org.apache.hadoop.hdfs.tools.DFSAdmin", *arguments)

    # ---- files -----------------------------------------------------------------------------------------------

    def make(self, files: Iterable[FileSpec]) -> None:
        """Makes files and folders in one JVM as superuser, 16 at a time (about 400 small files a second)."""
        listing = self.plan.folder / "tree.tsv"
        listing.write_text(description(files), encoding="ascii")
        self.java("MakeTree", "make", str(listing), str(_MAKE_THREADS))

    def hold_open(self, path: str, size: int, seed: int) -> HeldFile:
        """Makes a file of content(seed, size), flushes it and leaves it open until the handle is closed."""
        command = java_command(self.conf_folder, "128m", "MakeTree", ("hold", quote(path), str(size), str(seed)))
        with self._log("held").open("ab") as log:
            process = subprocess.Popen(
                bound_to_us(command),
                env=self._environment(None),
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
        query = f"ugi={self.plan.superuser}&files=1&blocks=1&openforwrite=1&path={quote(path, safe='')}"
        report = get_page(self.plan.namenode.http, f"/fsck?{query}")
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
