"""Encrypted files are decrypted in place, at every offset; without a key, or with another file's, nothing comes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from stores.base import Condition, Extent, Kind, RangeRead, Stat
from stores.checksum import Algorithm, Checksum
from stores.hashing import checksum_of
from stores.hdfs.layouts import Layouts
from stores.hdfs.security.aes_ctr import AesCtr
from stores.hdfs.wire.hdfs_pb2 import ErasureCodingPolicyProto, FileEncryptionInfoProto, LocatedBlocksProto
from stores.hdfs.zones import encryption
from stores.hdfs.zones.data_keys import DataKeys
from stores.hdfs.zones.encryption import ZoneReader, refuse_raw
from stores.hdfs.zones.kms_wire import EncryptedKey
from tests.unit.stores.hdfs.test_layouts import layout

PLAIN = bytes(range(256)) * 20
IV = b"\xff" * 15 + b"\xf0"  # the counter begins again at 0 within the file
KEYS = {16: b"k" * 16, 32: b"K" * 32}


def info(key_bytes: int = 16, iv: bytes = IV, **changes: object) -> FileEncryptionInfoProto:
    made = FileEncryptionInfoProto(
        suite=2, cryptoProtocolVersion=2, key=b"e" * key_bytes, iv=iv, keyName="k1", ezKeyVersionName="k1@0"
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def encrypted_layout(told: FileEncryptionInfoProto | None, size: int = len(PLAIN), coded: bool = False) -> bytes:
    proto = LocatedBlocksProto.FromString(layout(size))
    if told is not None:
        proto.fileEncryptionInfo.CopyFrom(told)
    if coded:
        proto.ecPolicy.CopyFrom(ErasureCodingPolicyProto(id=5))
    return proto.SerializeToString()


def file(told: FileEncryptionInfoProto | None, condition: Condition = Condition.ENCRYPTED, coded: bool = False) -> Stat:
    layout_bytes = encrypted_layout(told, coded=coded)
    return Stat("a/f", Kind.FILE, len(PLAIN), 0, version="v", layout=layout_bytes, condition=condition)


@dataclass
class Stored:
    """What the DataNodes hold, for a reader of plain files; notes what it was asked."""

    content: bytes
    layouts: Layouts
    asked: list[tuple[Condition, int, int, Algorithm | None]] = field(default_factory=list)
    becomes: bytes | None = None  # what the NameNode says when this reads

    def read_into(self, file: Stat, offset: int, view: memoryview, algorithm: Algorithm | None) -> RangeRead:
        self.asked.append((file.condition, offset, len(view), algorithm))
        if self.becomes is not None:
            self.layouts.renew(file)
        view[:] = self.content[offset : offset + len(view)]
        return RangeRead(checksum_of(algorithm or Algorithm.CRC32C, view), True, 2)

    def extents(self, file: Stat) -> tuple[Extent, ...]:
        self.asked.append((file.condition, 0, 0, None))
        return (Extent(0, file.size_bytes),)

    def claimed_algorithm(self, file: Stat) -> Algorithm:
        return Algorithm.CRC32

    def stored_checksum(self, file: Stat, offset: int, size: int, algorithm: Algorithm) -> Checksum | None:
        return checksum_of(algorithm, self.content[offset : offset + size])


class Reader:
    """A ZoneReader over stored bytes, with a key server that opens every key of this size."""

    def __init__(self, key_bytes: int = 16, becomes: bytes | None = None) -> None:
        cipher = bytearray(PLAIN)
        with AesCtr(KEYS[key_bytes], IV) as stream:
            stream.crypt(memoryview(cipher))
        self.opened: list[EncryptedKey] = []
        self.key = KEYS[key_bytes]
        self.refusal: BlockferryError | None = None
        layouts = Layouts(lambda path, size: becomes)
        self.stored = Stored(bytes(cipher), layouts, becomes=becomes)
        self.zone = ZoneReader(self.stored, layouts, DataKeys(self.decrypt))  # type: ignore[arg-type]

    def decrypt(self, key: EncryptedKey) -> bytes:
        self.opened.append(key)
        if self.refusal is not None:
            raise self.refusal
        return self.key

    def read(self, file: Stat, offset: int, size: int, algorithm: Algorithm | None = None) -> tuple[RangeRead, bytes]:
        view = memoryview(bytearray(size))
        return self.zone.read_into(file, offset, view, algorithm), bytes(view)


@given(st.sampled_from([16, 32]), st.integers(0, len(PLAIN)), st.integers(0, len(PLAIN)), st.sampled_from(Algorithm))
def test_any_range_is_the_plaintext_with_its_own_checksum(
    key_bytes: int, one: int, other: int, algorithm: Algorithm
) -> None:
    begin, end = min(one, other), max(one, other)
    found, data = Reader(key_bytes).read(file(info(key_bytes)), begin, end - begin, algorithm)
    assert data == PLAIN[begin:end]
    assert found.checksum == checksum_of(algorithm, PLAIN[begin:end])
    assert found.proven


def test_slices_are_one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encryption, "SLICE_BYTES", 7)
    found, data = Reader().read(file(info()), 3, 1000)
    assert data == PLAIN[3:1003]
    assert found.checksum == checksum_of(Algorithm.CRC32C, data)
    assert found.retry_count == 2


@pytest.mark.parametrize("condition", [Condition.ENCRYPTED, Condition.OPEN_ENCRYPTED])
@pytest.mark.parametrize(("coded", "expected"), [(False, Condition.PLAIN), (True, Condition.ERASURE_CODED)])
def test_what_is_stored_is_read_as_what_it_is(condition: Condition, coded: bool, expected: Condition) -> None:
    reader = Reader()
    encrypted = file(info(), condition, coded)
    reader.read(encrypted, 5, 10)
    reader.zone.extents(encrypted)
    assert reader.stored.asked == [(expected, 5, 10, Algorithm.CRC32C), (expected, 0, 0, None)]


def test_one_key_for_all_parts() -> None:
    reader = Reader()
    for offset in range(0, 1000, 100):
        reader.read(file(info()), offset, 100)
    assert reader.opened == [EncryptedKey("k1", "k1@0", IV, b"e" * 16)]


@pytest.mark.parametrize("condition", [Condition.PLAIN, Condition.OPEN, Condition.ERASURE_CODED])
def test_other_files_go_through_untouched(condition: Condition) -> None:
    reader = Reader()
    plain = file(None, condition)
    found, data = reader.read(plain, 1, 50, Algorithm.CRC32)
    assert data == reader.stored.content[1:51]
    assert found.checksum == checksum_of(Algorithm.CRC32, data)
    assert reader.zone.claimed_algorithm(plain) is Algorithm.CRC32
    assert reader.zone.stored_checksum(plain, 0, 9, Algorithm.CRC32C) is not None
    reader.zone.extents(plain)
    assert {condition for condition, *_ in reader.stored.asked} == {condition}
    assert reader.opened == []


def test_what_hdfs_keeps_is_of_no_use_for_an_encrypted_file() -> None:
    reader = Reader()
    assert reader.zone.stored_checksum(file(info()), 0, 9, Algorithm.CRC32C) is None
    assert reader.zone.claimed_algorithm(file(info())) is Algorithm.CRC32C
    assert reader.opened == [], "changing the attributes of an object takes no key"


def test_a_denied_file_begins_no_upload() -> None:
    reader = Reader()
    reader.refusal = BlockferryError("ACCESS_DENIED", "no")
    with pytest.raises(BlockferryError):
        reader.zone.extents(file(info()))
    assert reader.stored.asked == []


def test_an_empty_file_needs_no_key() -> None:
    reader = Reader()
    reader.refusal = BlockferryError("ACCESS_DENIED", "no")
    empty = replace(file(info()), size_bytes=0, layout=b"")
    assert reader.zone.claimed_algorithm(empty) is Algorithm.CRC32C
    assert reader.read(empty, 0, 0) == (RangeRead(Checksum(Algorithm.CRC32C, 0), True), b"")
    reader.zone.extents(empty)
    assert reader.stored.asked == [(Condition.PLAIN, 0, 0, None)]


def test_without_the_key_nothing_is_read() -> None:
    reader = Reader()
    reader.refusal = BlockferryError("ACCESS_DENIED", "The KMS says no.", user="bob")
    with pytest.raises(BlockferryError) as error:
        reader.read(file(info()), 0, 10)
    assert (error.value.reason, error.value.coordinates) == ("ACCESS_DENIED", {"user": "bob", "path": "a/f"})
    assert reader.stored.asked == []


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, "CIPHERTEXT_REFUSED"),
        (info(suite=3), "ENCRYPTION_UNSUPPORTED"),
        (info(cryptoProtocolVersion=1), "ENCRYPTION_UNSUPPORTED"),
        (info(iv=b"short"), "ENCRYPTION_UNSUPPORTED"),
        (info(key=b""), "ENCRYPTION_UNSUPPORTED"),
    ],
)
def test_what_cannot_be_opened_is_refused_before_it_is_read(told: FileEncryptionInfoProto | None, reason: str) -> None:
    reader = Reader()
    for attempt in (lambda: reader.read(file(told), 0, 10), lambda: reader.zone.extents(file(told))):
        with pytest.raises(BlockferryError) as error:
            attempt()
        assert (error.value.reason, error.value.coordinates["path"]) == (reason, "a/f")
    assert reader.stored.asked == []
    assert reader.opened == []


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (info(iv=b"another iv......"), "SOURCE_CHANGED"),  # another file stands at the path
        (None, "SOURCE_CHANGED"),
        (info(key=b"f" * 16, ezKeyVersionName="k1@1"), ""),  # the zone was encrypted anew: the same content
    ],
)
def test_another_file_is_not_opened_with_this_ones_key(now: FileEncryptionInfoProto | None, reason: str) -> None:
    """Another thread, or this one, learns of a new layout while blocks are read."""
    reader = Reader(becomes=encrypted_layout(now))
    if not reason:
        assert reader.read(file(info()), 0, 10)[1] == PLAIN[:10]
        return
    with pytest.raises(BlockferryError) as error:
        reader.read(file(info()), 0, 10)
    assert error.value.reason == reason


@pytest.mark.parametrize("root", ["/.reserved/raw", "/.reserved/raw/zone", "/.reserved"])
def test_raw_roots_are_refused(root: str) -> None:
    with pytest.raises(BlockferryError, match="ordinary path") as error:
        refuse_raw(root)
    assert (error.value.reason, error.value.coordinates["path"]) == ("CIPHERTEXT_REFUSED", root)


@pytest.mark.parametrize("root", ["", "/data", "/.reserved/rawest", "/data/.reserved/raw", "/.reserved/.inodes/16386"])
def test_other_roots_are_not(root: str) -> None:
    refuse_raw(root)
