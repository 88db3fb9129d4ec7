"""Locations as the workers see them: where a store is and how to log in there, without any secret.

Holds plain values that can be pickled into an actor; the proto messages of a location stop at the edge of a service.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CredentialsKind(StrEnum):
    """Where the worker finds keys."""

    DEFAULT_CHAIN = "DEFAULT_CHAIN"
    PROFILE = "PROFILE"
    ENVIRONMENT = "ENVIRONMENT"
    FILE = "FILE"


@dataclass(frozen=True, slots=True)
class CredentialsReference:
    """Where the worker finds keys: `value` is a profile's name, a prefix of environment variables, or a file."""

    kind: CredentialsKind = CredentialsKind.DEFAULT_CHAIN
    value: str = ""


class Protection(StrEnum):
    """What SASL does to the bytes on the wire, in the order of strength. Values are Hadoop's (hadoop.rpc.protection,
    dfs.data.transfer.protection)."""

    AUTHENTICATION = "authentication"
    INTEGRITY = "integrity"
    PRIVACY = "privacy"


@dataclass(frozen=True, slots=True)
class HdfsLocation:
    """A folder (or one file) in HDFS. All paths but `root` are paths on the worker.

    Attributes:
        namenodes: `host:port`; empty when `nameservice` is given.
        root: absolute, without a slash at its end.
        user: whose rights count. Simple authentication: who asks. Kerberos: run as this one (proxy user) when it is
            another than the principal's. Empty: the principal, or who runs the worker.
        nameservice: a logical name that the site files of `conf_dir` resolve, also that of a ViewFS mount table.
        conf_dir: folder with core-site.xml and hdfs-site.xml.
        principal: Kerberos principal; needs `keytab`. Both empty: the ticket cache, where the cluster wants Kerberos.
        krb5_conf: the Kerberos configuration of this location. Empty: the system's.
        kms_uri: as dfs.encryption.key.provider.uri, e.g. `kms://https@kms1;kms2:9600/kms`. Empty: what the site files
            or the NameNode say.
        rpc_protection, transfer_protection: the least that is accepted. None: what the site files say, else whatever
            the server offers.
    """

    namenodes: tuple[str, ...]
    root: str
    user: str = ""
    nameservice: str = ""
    conf_dir: str = ""
    principal: str = ""
    keytab: str = ""
    krb5_conf: str = ""
    kms_uri: str = ""
    rpc_protection: Protection | None = None
    transfer_protection: Protection | None = None

    @property
    def uri(self) -> str:
        return f"hdfs://{self.nameservice or ','.join(self.namenodes)}{self.root}"


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and what its keys begin with. `prefix` is empty or ends with a slash."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    path_style: bool | None = None
    credentials: CredentialsReference = CredentialsReference()
    ca_bundle: str = ""
    storage_class: str = ""

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class MemoryLocation:
    """A store in this process, by name (`stores.memory`): for unit tests."""

    name: str

    @property
    def uri(self) -> str:
        return f"memory://{self.name}/"


Location = HdfsLocation | S3Location | MemoryLocation
