"""One suite for every version of Hadoop: listing, reading, stored sums, a move and its proof."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ledger.records import Action, PlanEntry, Proof, Why
from mover.buffers import BufferPool
from mover.measures import EffortMeter
from mover.worker import Gear, find_moved, move_entry
from service.backoff import Backoff
from stores.base import Attributes, Kind, RangeRead, Stat
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.hdfs.source import HdfsSource
from stores.location import HdfsLocation
from stores.memory import MemoryStore, forget
from tests.support.content import content
from tests.support.hdfs import HdfsCluster
from tests.support.hdfs_profile import Kerberos, Profile
from tests.support.kdc import Kdc
from tests.support.tree import FileSpec, folder
from verifier.expect import Question
from verifier.prove import ProofBench, prove

MIB = 1 << 20
CRC32C, CRC32 = Algorithm.CRC32C, Algorithm.CRC32
ROOT = "/versions"
NO_WAIT = Backoff(base_s=0.0, attempts=3)
KINDS = {
    "blocks": FileSpec("", 2 * MIB + 12_345, 1),
    "crc32": FileSpec("", MIB + 77, 2, checksum_type="CRC32"),
    "null": FileSpec("", 5_000, 3, checksum_type="NULL"),
    "large chunks": FileSpec("", MIB + 100, 4, bytes_per_checksum=4096),
    "appended": FileSpec("", 700_000, 6, append_bytes=900_001),
    "appended block": FileSpec("", 70_000, 7, append_bytes=90_001, append_new_block=True),
    **{f"of {size}": FileSpec("", size, 100 + size) for size in (0, 1, 511, 512, 513)},
}
WITH_SUMS = [name for name in KINDS if name != "null"]


@dataclass(frozen=True, slots=True)
class Made:
    """A cluster with one file of every kind below ROOT, and the same folder as a source."""

    cluster: HdfsCluster
    source: HdfsSource

    def stat(self, name: str) -> Stat:
        found = self.source.stat(name)
        assert found is not None
        return found


def expected(name: str) -> bytes:
    spec = KINDS[name]
    return content(spec.seed, spec.size + spec.append_bytes)


def algorithm_of(name: str) -> Algorithm:
    return CRC32 if KINDS[name].checksum_type == "CRC32" else CRC32C


@pytest.fixture(scope="module")
def made(version_hdfs: HdfsCluster) -> Iterator[Made]:
    files = [replace(spec, path=f"{ROOT}/{name}") for name, spec in KINDS.items()]
    several = [FileSpec(f"{ROOT}/many/{index:03}", size=index, seed=index) for index in range(40)]
    strict = FileSpec(
        f"{ROOT}/many/strict", size=3, owner="alice", group="staff", mode=0o640, mtime_ms=1_600_000_000_123
    )
    version_hdfs.make([folder(f"{ROOT}/empty", owner="bob", mode=0o1750, mtime_ms=7_000), strict, *several, *files])
    with closing(HdfsSource(HdfsLocation((version_hdfs.namenode,), ROOT), timeout_s=20)) as source:
        yield Made(version_hdfs, source)


@pytest.fixture
def sink(request: pytest.FixtureRequest) -> Iterator[MemoryStore]:
    name = f"versions-{request.node.name}"
    yield MemoryStore(name)
    forget(name)


def gear(made: Made, sink: MemoryStore) -> Gear:
    return Gear(made.source, sink, BufferPool(1), NO_WAIT, lambda _seconds: None)


def read(source: HdfsSource, file: Stat, algorithm: Algorithm | None) -> tuple[RangeRead, bytes]:
    view = memoryview(bytearray(file.size_bytes))
    return source.read_into(file, 0, view, algorithm), bytes(view)


def test_everything_is_listed_with_its_attributes(made: Made) -> None:
    listed = {stat.path: stat for stat in made.source.list_tree()}
    several = {f"many/{index:03}" for index in range(40)} | {"many/strict", "many/", "empty/"}
    assert set(listed) == several | set(KINDS)
    strict, empty = listed["many/strict"], listed["empty/"]
    assert strict.attributes is not None
    assert strict.attributes == Attributes("alice", "staff", 0o640, 1_600_000_000_123, strict.attributes.atime_ms)
    assert empty.attributes == Attributes("bob", "supergroup", 0o1750, 7_000, 0)
    assert [stat.kind for stat in (strict, empty)] == [Kind.FILE, Kind.FOLDER]
    for name in KINDS:
        assert listed[name].size_bytes == len(expected(name))
        # the layout tells how busy DataNodes are, which changes
        assert replace(made.stat(name), layout=b"") == replace(listed[name], layout=b"")


def test_what_is_missing_is_none(made: Made) -> None:
    assert made.source.stat("absent") is None
    assert made.source.stat("blocks/inside") is None


@pytest.mark.parametrize("name", WITH_SUMS)
def test_files_are_read_and_held_against_the_sums_that_hdfs_keeps(made: Made, name: str) -> None:
    for algorithm in (None, CRC32C):
        found, data = read(made.source, made.stat(name), algorithm)
        assert data == expected(name)
        assert found.checksum == checksum_of(algorithm or algorithm_of(name), data)
        assert found.proven


def test_a_file_without_sums_is_read_and_nothing_proves_it(made: Made) -> None:
    found, data = read(made.source, made.stat("null"), None)
    assert (data, found.proven) == (expected("null"), False)
    assert made.source.stored_checksum(made.stat("null"), 0, 5_000, CRC32C) is None


@pytest.mark.parametrize("name", WITH_SUMS)
def test_stored_sums_are_combined_for_files_and_ranges(made: Made, name: str) -> None:
    data, file, algorithm = expected(name), made.stat(name), algorithm_of(name)
    size = len(data)
    for begin, end in {(0, size), (size // 3, size), (size // 5, size // 2), (size, size)}:
        stored = made.source.stored_checksum(file, begin, end - begin, algorithm)
        assert stored == checksum_of(algorithm, data[begin:end])
    if size:
        other = CRC32C if algorithm is CRC32 else CRC32
        assert made.source.stored_checksum(file, 0, size, other) is None


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_moved_and_both_stores_sums_prove_it(made: Made, sink: MemoryStore, name: str) -> None:
    file = made.stat(name)
    entry = PlanEntry(name, Action.COPY, Why.NEW, file)
    receipt = move_entry(gear(made, sink), entry, resume=False, meter=EffortMeter())
    assert b"".join(sink.read(name)) == expected(name)
    assert receipt.source_proven == (name != "null")
    bench = ProofBench(made.source, sink, True, NO_WAIT)
    check = Question(replace(entry, action=Action.CHECK, why=Why.VERIFY_ASKED))
    for question in (Question(entry, receipt), check):
        verdict = prove(bench, question).verdict
        assert verdict.failure is None
        assert verdict.source_proven == (name != "null")
        if name != "null" or question.receipt is not None:
            assert verdict.proof is Proof.STORED_CHECKSUM


def test_a_check_finds_damage_at_the_destination(made: Made, sink: MemoryStore) -> None:
    file = made.stat("blocks")
    entry = PlanEntry("blocks", Action.COPY, Why.NEW, file)
    move_entry(gear(made, sink), entry, resume=False, meter=EffortMeter())
    assert file.attributes is not None
    sink.put("blocks", bytes(file.size_bytes), checksum_of(CRC32C, bytes(file.size_bytes)), file.attributes)
    check = Question(replace(entry, action=Action.CHECK, why=Why.VERIFY_ASKED))
    verdict = prove(ProofBench(made.source, sink, True, NO_WAIT), check).verdict
    assert verdict.failure is not None
    assert verdict.failure.reason == "CHECKSUM_FAILURE"


def test_what_an_earlier_attempt_moved_is_not_sent_again(made: Made, sink: MemoryStore) -> None:
    file = made.stat("appended")
    move_entry(gear(made, sink), PlanEntry("appended", Action.COPY, Why.NEW, file), resume=False, meter=EffortMeter())
    found = find_moved(gear(made, sink), file, EffortMeter())
    assert found is not None
    assert found.source_proven


def test_a_location_is_tried_and_told_what_its_sums_are_good_for(made: Made) -> None:
    checks = made.source.checks(write=False)
    assert [check for check in checks if not check.passed] == []
    can_combine = made.cluster.version() != "2.10.2"
    assert ("moves no data" in checks[-1].message, "older than" in checks[-1].message) == (can_combine, not can_combine)


def test_hadoop_2_in_a_realm_is_read_in_privacy(kdc: Kdc, tmp_path: Path) -> None:
    profile = Profile(version="2.10.2", kerberos=Kerberos(kdc.realm, rpc=("privacy",), transfer=("privacy",)))
    with HdfsCluster.start(tmp_path, datanode_count=1, replication=1, profile=profile) as cluster:
        cluster.make([FileSpec("/alice/f", size=MIB + 1, seed=1, owner="alice", mode=0o600)])
        location = HdfsLocation(
            (cluster.namenode,),
            "/alice",
            principal=kdc.realm.principal("alice"),
            keytab=str(kdc.realm.keytab("alice")),
            krb5_conf=str(kdc.realm.krb5_conf),
        )
        with closing(HdfsSource(location)) as source:
            (file,) = source.list_tree()
            found, data = read(source, file, None)
            assert (data, found.proven) == (content(1, MIB + 1), True)
            assert source.stored_checksum(file, 0, MIB + 1, CRC32C) == found.checksum
