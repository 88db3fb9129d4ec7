"""PURE: the parts of a test cluster, their names and their ports. Touches no disk and starts nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.hdfs_profile import SIMPLE, Profile
from tests.support.kdc import SERVICE_HOST

HOST = "127.0.0.1"
NAMENODE = "namenode"
NAMESERVICE = "ns1"
ROUTER = "router"


@dataclass(frozen=True, slots=True)
class NameNodePorts:
    """The ports of a NameNode, and of a JournalNode."""

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
class RouterPorts:
    """A router's ports; admin is where mounts are made."""

    rpc: int
    admin: int
    http: int
    https: int


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of all daemons; all KMS have the same one, at addresses of their own; 0 is none."""

    namenodes: tuple[NameNodePorts, ...]
    datanodes: tuple[DataNodePorts, ...]
    journals: tuple[NameNodePorts, ...]
    kms: int
    router: RouterPorts | None


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """Everything that decides a cluster's configuration. folder holds one folder per daemon, and conf for clients."""

    folder: Path
    ports: Ports
    replication: int
    block_size: int
    superuser: str
    settings: Mapping[str, str] = field(default_factory=dict)
    profile: Profile = SIMPLE

    @property
    def namenode(self) -> NameNodePorts:
        """The first NameNode's ports."""
        return self.ports.namenodes[0]

    @property
    def datanodes(self) -> tuple[DataNodePorts, ...]:
        """The DataNodes' ports."""
        return self.ports.datanodes

    @property
    def host(self) -> str:
        """How addresses name this machine: with Kerberos by the name that the principals have."""
        return SERVICE_HOST if self.profile.kerberos else HOST

    @property
    def highly_available(self) -> bool:
        """Whether there is a nameservice of several NameNodes."""
        return len(self.ports.namenodes) > 1


def choose_ports(profile: Profile, datanode_count: int, free: Iterable[int]) -> Ports:
    """Returns the ports of every daemon of a profile, taken from `free` in order; see ports_wanted for how many."""
    left = iter(free)

    def take(count: int) -> tuple[int, ...]:
        return tuple(next(left) for _ in range(count))

    return Ports(
        tuple(NameNodePorts(*take(3)) for _ in range(profile.namenodes)),
        tuple(DataNodePorts(*take(4)) for _ in range(datanode_count)),
        tuple(NameNodePorts(*take(3)) for _ in range(profile.journals)),
        next(left) if profile.kms else 0,
        RouterPorts(*take(4)) if profile.router else None,
    )


def ports_wanted(profile: Profile, datanode_count: int) -> int:
    """Returns how many ports the daemons of a profile listen on."""
    return 3 * (profile.namenodes + profile.journals) + 4 * datanode_count + bool(profile.kms) + 4 * profile.router


def namenode_name(index: int) -> str:
    """Returns the name of the NameNode of that index (0, 1, ...): namenode, namenode2, ..."""
    return NAMENODE if index == 0 else f"{NAMENODE}{index + 1}"


def namenode_id(index: int) -> str:
    """Returns a NameNode's name inside the nameservice: nn1, nn2, ..."""
    return f"nn{index + 1}"


def datanode_name(index: int) -> str:
    """Returns the name of the DataNode of that index (0, 1, ...): datanode1, datanode2, ..."""
    return f"datanode{index + 1}"


def journal_name(index: int) -> str:
    """Returns the name of the JournalNode of that index: journal1, journal2, ..."""
    return f"journal{index + 1}"


def kms_name(index: int) -> str:
    """Returns the name of the KMS of that index: kms1, kms2, ..."""
    return f"kms{index + 1}"
