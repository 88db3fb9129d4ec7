"""How a test runs Hadoop's programs: Java commands of the jars, and the NameNode's web pages. Knows no cluster."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.support import hadoop_jars
from tests.support.hdfs_plan import HOST

COMMAND_S = 600
_JVM = (
    "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xss512k", "-Dfile.encoding=UTF-8",
    "-Djava.net.preferIPv4Stack=true", "-Djava.awt.headless=true",
)  # fmt: skip


@dataclass(slots=True)
class HeldFile:
    """A file that one writer keeps open; its bytes are flushed and visible, its last block is under construction."""

    process: subprocess.Popen[bytes]

    def close(self) -> None:
        """Closes the file properly."""
        self.process.communicate(b"\n", timeout=COMMAND_S)

    def abandon(self) -> None:
        """Ends the writer without closing: the lease stays until it expires."""
        self.process.kill()
        self.process.communicate(timeout=COMMAND_S)


def java_command(
    conf: Path,
    heap: str,
    main_class: str,
    arguments: Iterable[str],
    options: Iterable[str] = (),
    version: str = hadoop_jars.VERSION,
) -> tuple[str, ...]:
    """Returns the command of a main class; `conf` is the folder of its site files, `heap` such as 256m.

    options are further ones of Java, such as -Dname=value; version is Hadoop's.
    """
    class_path = f"{conf}:{hadoop_jars.classes()}:{hadoop_jars.jars(version)}/*"
    of_java = (f"-Xmx{heap}", "-Xms24m", *_JVM, *options)
    return (hadoop_jars.java(), *of_java, "-cp", class_path, main_class, *arguments)


def get_page(port: int, path: str) -> str:
    """Returns a page of 127.0.0.1:port; OSError for any status but 200."""
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"GET {path} gave {response.status}: {body[:500]}")
    return body
