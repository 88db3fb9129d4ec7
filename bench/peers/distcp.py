"""Hadoop's DistCp in local mode, to its S3A file system."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.peers.contract import Command, HdfsSide, Manner, PeerRun, S3Side
from bench.peers.gauge import measured
from tests.support.hadoop_jars import CACHE, fetched, java
from tests.support.processes import program

_HOME = CACHE / "peers" / "distcp"
_POM = Path(__file__).with_name("pom.xml")
_MAPS = 4
_PASSWORD = "changeit"  # noqa: S105 - of a store that holds one certificate of a test


class DistcpPeer:
    """One JVM with its defaults for memory and compilers, four maps as threads of it."""

    name = "distcp"

    def prepare(self) -> None:
        """Fetches the jars; one of them, the AWS SDK, has 642 MB."""
        fetched(_POM, _HOME)

    def cannot(self, manner: Manner) -> str:
        """Returns why it has no verification alone."""
        return "no verification by itself; S3A has no checksum that it could compare" if manner.verify_all else ""

    def copy(self, source: HdfsSide, sink: S3Side, folder: Path, manner: Manner) -> PeerRun:
        """Copies with -direct (without it each object is written, copied and deleted), or -update if done before."""
        trust, setting = _trust(sink, folder), _settings(sink, folder)
        classes = f"{source.conf}:{_HOME / 'lib'}/*"
        arguments = (
            *(java(), "-Djava.net.preferIPv4Stack=true", *trust, "-cp", classes, "org.apache.hadoop.tools.DistCp"),
            *(word for name, value in setting.items() for word in ("-D", f"{name}={value}")),
            *("-m", str(_MAPS), "-direct", *(("-update",) if manner.again else ())),
            *(source.uri, f"s3a://{sink.bucket}/{sink.prefix}"),
        )
        environment = {**sink.environment(), "HADOOP_USER_NAME": source.user, "LC_ALL": "C.UTF-8"}
        return measured((Command(arguments, environment),), folder)


def _settings(sink: S3Side, folder: Path) -> dict[str, str]:
    return {
        "hadoop.tmp.dir": str(folder / "tmp"),
        "mapreduce.framework.name": "local",
        "mapreduce.local.map.tasks.maximum": str(_MAPS),
        "fs.s3a.endpoint": sink.endpoint,
        "fs.s3a.endpoint.region": sink.region,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": str(sink.ca_file is not None).lower(),
        "fs.s3a.attempts.maximum": "2",  # the defaults try for minutes before an error is shown
        "fs.s3a.retry.limit": "2",
    }


def _trust(sink: S3Side, folder: Path) -> tuple[str, ...]:
    if sink.ca_file is None:
        return ()
    store, keytool = folder / "trust.p12", program("keytool", "install Java 17")
    importing = (keytool, "-importcert", "-noprompt", "-alias", "bench", "-file", str(sink.ca_file))
    place = ("-keystore", str(store), "-storetype", "PKCS12", "-storepass", _PASSWORD)
    subprocess.run((*importing, *place), check=True, capture_output=True, timeout=60)
    return (f"-Djavax.net.ssl.trustStore={store}", f"-Djavax.net.ssl.trustStorePassword={_PASSWORD}")
