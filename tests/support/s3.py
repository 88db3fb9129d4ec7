"""Real S3 servers for the tests as child processes on 127.0.0.1: one honest, one strict, one that believes anything."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.certificates import Certificates, make_certificates
from tests.support.ports import free_port, free_ports
from tests.support.processes import Child
from tests.support.versitygw_build import MISSING, versitygw_program

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ACCESS_KEY = "BLOCKFERRYTESTKEY001"
_SECRET_KEY = "blockferry-test-secret-0123456789abcdefgh"
REGION = "us-east-1"
_GRPC_ABOVE = 10_000


def _wheel_program(name: str) -> str:
    """Returns a program that a wheel installed beside this Python."""
    found = shutil.which(name, path=Path(sys.executable).parent) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; cure: make setup")
    return found


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started: again after a kill too, on the same port and data.

    ready: what must be true besides an answer to a signed call; OSError means not yet.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[], bool] = lambda: True


@dataclass(slots=True)
class S3Server(ABC):
    """A running S3 server. ca_file is None over plain http, else what a client must trust."""

    launch: Launch
    endpoint: str
    ca_file: Path | None
    access_key: str = _ACCESS_KEY
    secret_key: str = _SECRET_KEY
    region: str = REGION
    child: Child | None = None

    @classmethod
    @abstractmethod
    def start(cls, folder: Path, *, tls: bool = False) -> Self:
        """Starts a server with its data in `folder`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def client(self) -> S3Client:
        """Returns a boto3 client with the right keys: path style, no retries, no claims but the caller's own."""
        settings = Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            connect_timeout=10,
            read_timeout=60,
            request_checksum_calculation="when_required",  # tests claim what they mean, no more
        )
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            verify=str(self.ca_file) if self.ca_file else None,
            config=settings,
        )

    def make_bucket(self, name: str) -> str:
        """Creates a bucket and returns its name."""
        self.client().create_bucket(Bucket=name)
        return name

    def start_process(self) -> None:
        """Starts the server (again) and returns when it answers a signed call."""
        launch = self.launch
        child = Child.start(launch.name, launch.arguments, launch.log, environment=launch.environment)
        self.child = child
        client = self.client()

        def answers() -> bool:
            try:
                client.list_buckets()
            except (BotoCoreError, ClientError) as error:
                raise OSError(str(error)) from error
            return launch.ready()

        try:
            child.wait_ready(answers)
        except BaseException:
            child.stop()
            raise

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self.child is not None
        return self.child.pid

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal; after SIGKILL the server is gone on return, and start_process() brings it back."""
        assert self.child is not None
        self.child.signal(number)

    def stop(self) -> None:
        """Ends the server; its folder stays."""
        if self.child is not None:
            self.child.stop()

    @property
    def environment(self) -> Mapping[str, str]:
        """The AWS_* variables by which a program finds the keys, the region and the authority to trust."""
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        trust = {"AWS_CA_BUNDLE": str(self.ca_file)} if self.ca_file else {}
        return {**keys, "AWS_DEFAULT_REGION": self.region, **trust}


def _certificates(folder: Path, tls: bool) -> Certificates | None:
    return make_certificates(folder / "tls") if tls else None


def _endpoint(port: int, certificates: Certificates | None) -> str:
    return f"http{'s' if certificates else ''}://127.0.0.1:{port}"


def _volumes_are_known(master: int) -> bool:
    """Whether SeaweedFS's volume server has reported to its master: before that it lists buckets, but reads nothing."""
    connection = HTTPConnection("127.0.0.1", master, timeout=10)
    try:
        connection.request("GET", "/dir/status")
        return b'"DataNodes":[{' in connection.getresponse().read()
    finally:
        connection.close()


class SeaweedServer(S3Server):
    """SeaweedFS: verifies the checksums of puts, parts and completions. The main server of the tests and the demo."""

    __slots__ = ()

    @classmethod
    def start(cls, folder: Path, *, tls: bool = False) -> Self:
        """Starts `weed mini` with its data in `folder` (about 2 s)."""
        certificates = _certificates(folder, tls)
        master, volume, filer, s3, admin = free_ports(5, also_above=_GRPC_ABOVE)
        data = folder / "data"
        data.mkdir(parents=True)
        identity = {
            "name": "blockferry",
            "credentials": [{"accessKey": _ACCESS_KEY, "secretKey": _SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        tls_flags = (
            (f"-s3.cert.file={certificates.certificate}", f"-s3.key.file={certificates.key}") if certificates else ()
        )
        arguments = (
            _wheel_program("weed"), "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}",
            # each bucket takes volumes of its own; by free disk space there would be too few for a bucket per test
            "-volume.max=2000", f"-admin.port={admin}", "-admin.ui=false", "-webdav=false", "-metricsPort=0",
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false", f"-s3.config={folder / 's3.json'}",
            *tls_flags,
        )  # fmt: skip
        environment = {
            "AWS_ACCESS_KEY_ID": _ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": _SECRET_KEY,
            "GOMEMLIMIT": "400MiB",
            "TMPDIR": str(folder),  # its logs
        }
        launch = Launch(
            "seaweedfs", arguments, environment, folder / "seaweedfs.log", partial(_volumes_are_known, master)
        )
        server = cls(launch, _endpoint(s3, certificates), certificates.authority if certificates else None)
        server.start_process()
        return server

    def remove_buckets(self, prefix: str) -> None:
        """Removes the buckets whose names begin so, with all that is in them; their room on the disk is free then."""
        client = self.client()
        for bucket in client.list_buckets()["Buckets"]:
            if bucket["Name"].startswith(prefix):
                client.delete_bucket(Bucket=bucket["Name"])  # not as S3 does: -s3.allowDeleteBucketNotEmpty


class VersitygwServer(S3Server):
    """versitygw over a folder: the strictest server; objects are plain files in `folder`/data/BUCKET."""

    __slots__ = ()

    @staticmethod
    def missing() -> str:
        """Returns why the server cannot be started here; empty when it can (the first call may build it)."""
        return "" if versitygw_program() else MISSING

    @classmethod
    def start(cls, folder: Path, *, tls: bool = False) -> Self:
        """Starts versitygw with its data in `folder` (0.5 s); the file system must have user attributes."""
        gateway = versitygw_program()
        if gateway is None:
            raise FileNotFoundError(MISSING)
        certificates = _certificates(folder, tls)
        port = free_port()
        data, versions = folder / "data", folder / "versions"
        data.mkdir(parents=True)
        versions.mkdir()
        tls_flags = ("--cert", str(certificates.certificate), "--key", str(certificates.key)) if certificates else ()
        keys = ("--access", _ACCESS_KEY, "--secret", _SECRET_KEY)
        place = ("--port", f"127.0.0.1:{port}", *tls_flags, "posix", "--versioning-dir", str(versions), str(data))
        launch = Launch("versitygw", (str(gateway), *keys, *place), {}, folder / "versitygw.log")
        server = cls(launch, _endpoint(port, certificates), certificates.authority if certificates else None)
        server.start_process()
        return server


class RcloneServer(S3Server):
    """rclone serve s3: accepts every false claim. The negative control of the probes, and of nothing else."""

    __slots__ = ()

    @classmethod
    def start(cls, folder: Path, *, tls: bool = False) -> Self:
        """Starts `rclone serve s3` with its data in `folder` (0.5 s)."""
        certificates = _certificates(folder, tls)
        port = free_port()
        data = folder / "data"
        data.mkdir(parents=True)
        tls_flags = ("--cert", str(certificates.certificate), "--key", str(certificates.key)) if certificates else ()
        keys = ("--auth-key", f"{_ACCESS_KEY},{_SECRET_KEY}")
        program = (_wheel_program("rclone"), "serve", "s3", "--config", str(folder / "rclone.conf"))
        place = ("--addr", f"127.0.0.1:{port}", *keys, *tls_flags, str(data))
        launch = Launch("rclone", (*program, *place), {}, folder / "rclone.log")
        server = cls(launch, _endpoint(port, certificates), certificates.authority if certificates else None)
        server.start_process()
        return server
