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


@dataclass(frozen=True, slots=True)
class HdfsLocation:
    """A folder (or one file) in HDFS. `namenodes` are `host:port`; `root` is absolute, without a slash at its end."""

    namenodes: tuple[str, ...]
    root: str
    user: str = ""

    @property
    def uri(self) -> str:
        return f"hdfs://{','.join(self.namenodes)}{self.root}"


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
