"""PURE: what kind of HDFS a test wants. The default is the plainest: one NameNode, no Kerberos, replicated files."""

from dataclasses import dataclass

from tests.support.hadoop_jars import VERSION
from tests.support.hdfs_tls import Stores
from tests.support.kdc import Realm

PROTECTIONS = ("authentication", "integrity", "privacy")  # the first that client and server both know is used


@dataclass(frozen=True, slots=True)
class Kerberos:
    """How a cluster in a realm is protected. What it offers; a client's own site files choose from it.

    rpc is hadoop.rpc.protection, transfer is dfs.data.transfer.protection. With aes, privacy of the transfer is by
    AES/CTR when the client asks for it, else by DIGEST-MD5's own cipher. encrypt is dfs.encrypt.data.transfer, which
    goes before all protections of the transfer.
    """

    realm: Realm
    rpc: tuple[str, ...] = PROTECTIONS
    transfer: tuple[str, ...] = PROTECTIONS
    aes: bool = True
    encrypt: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """What a cluster consists of.

    namenodes above 1 is HA: nameservice "ns1" with manual fail-over, the first one active; shared edits lie in a folder
    of the machine, or with journals (3) in a quorum of JournalNodes. kms is the number of KMS processes on one
    keystore; with kms_stores they speak TLS (then there may be one only: its certificate is for this host). router adds
    a router (RBF) before the nameservice: for several NameNodes without Kerberos only.
    """

    kerberos: Kerberos | None = None
    namenodes: int = 1
    journals: int = 0
    kms: int = 0
    kms_stores: Stores | None = None
    router: bool = False
    version: str = VERSION


SIMPLE = Profile()
