"""Hadoop's jars and our compiled tree maker under .cache/, fetched once by Maven. Starts no server."""

import fcntl
import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import program

VERSION = "3.4.2"
OTHER_VERSIONS = ("2.10.2", "3.3.6", "3.5.0")
CACHE = Path(__file__).resolve().parents[2] / ".cache"
_SOURCES = Path(__file__).resolve().parent / "hadoop"
_JAVA_CURE = "install Java 17 (Debian: apt-get install openjdk-17-jdk-headless), or run `make setup` as root"
_MAVEN_CURE = "install Maven (Debian: apt-get install maven), or run `make setup` as root"
_FETCH_S = 900


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Holds a file lock, so that of several test processes one does the work and the others wait."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def java() -> str:
    """Returns the path of the `java` program; FileNotFoundError says what to install."""
    return program("java", _JAVA_CURE)


def _run(arguments: list[str], what: str) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=_FETCH_S, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"{what} failed ({done.returncode}): {(done.stdout + done.stderr)[-4000:]}")


def jars(version: str = VERSION) -> Path:
    """Returns the folder with Hadoop's jars (65 MB a version); the first call lets Maven fetch them."""
    pom = _SOURCES / ("pom.xml" if version == VERSION else "versions.xml")
    home = CACHE / "hadoop" / f"{version}-{_short_hash(pom)}"
    return fetched(pom, home, (f"-Dhadoop.version={version}",))


def _short_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def fetched(pom: Path, home: Path, properties: Iterable[str] = ()) -> Path:
    """Returns home/lib with the jars that a pom names; the first call lets Maven fetch them."""
    with only_one(home / "lock"):
        if not (home / "lib").is_dir():
            maven = program("mvn", _MAVEN_CURE)
            java()
            part = home / "lib.part"
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={part}", *properties]
            _run([maven, "-B", "-ntp", "-q", "-f", str(pom), *goal], f"fetching the jars of {pom} with Maven")
            part.rename(home / "lib")
    return home / "lib"


def classes() -> Path:
    """Returns the folder with MakeTree.class, compiled once per version of its source."""
    source = _SOURCES / "MakeTree.java"
    library = jars()
    folder = CACHE / "hadoop" / f"classes-{_short_hash(source)}"
    with only_one(CACHE / "hadoop" / "classes.lock"):
        if not (folder / "MakeTree.class").exists():
            javac = program("javac", _JAVA_CURE)
            _run([javac, "-nowarn", "-cp", f"{library}/*", "-d", str(folder), str(source)], "compiling MakeTree.java")
    return folder
