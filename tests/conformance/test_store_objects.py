"""Objects that are put at once: what was written is there, byte for byte, with its checksum and attributes."""

import random
from dataclasses import replace

import pytest

from blockferry.errors import BlockferryError
from stores.base import Kind
from stores.checksum import Algorithm
from stores.hashing import checksum_of
from stores.s3 import S3Store
from tests.support.stores_under_test import ATTRIBUTES, MIB, OTHERS, Limit, StoreUnderTest, crc32c, false_of


@pytest.mark.parametrize("size", [0, 1, 511, 300 * 1024, 5 * MIB])
@pytest.mark.parametrize("algorithm", Algorithm)
def test_put_and_stat_give_back_what_was_written(tried: StoreUnderTest, size: int, algorithm: Algorithm) -> None:
    body = random.Random(size).randbytes(size)
    claim = checksum_of(algorithm, body)
    stored = tried.store.put("folder/file", memoryview(body), claim, OTHERS)
    found = tried.store.stat("folder/file")
    assert found is not None
    assert (found.path, found.kind, found.size_bytes) == ("folder/file", Kind.FILE, size)
    assert (found.checksum, found.attributes, found.version) == (claim, OTHERS, stored.etag)
    assert tried.content("folder/file") == body


def test_a_path_that_nobody_wrote_is_none(tried: StoreUnderTest) -> None:
    tried.put("there", b"x")
    assert tried.store.stat("not-there") is None
    assert tried.store.stat("not-there/either/") is None


def test_a_false_claim_is_refused_and_nothing_is_kept(tried: StoreUnderTest) -> None:
    claim = false_of(crc32c(b"content"))
    with pytest.raises(BlockferryError) as raised:
        tried.store.put("file", b"content", claim, ATTRIBUTES)
    assert raised.value.reason == "CHECKSUM_REJECTED"
    assert raised.value.coordinates["expected"] == claim.hex
    assert tried.store.stat("file") is None
    assert tried.paths() == []


def test_a_false_claim_leaves_the_old_object(tried: StoreUnderTest) -> None:
    tried.put("file", b"old")
    with pytest.raises(BlockferryError):
        tried.store.put("file", b"new", false_of(crc32c(b"new")), OTHERS)
    found = tried.store.stat("file")
    assert found is not None and found.checksum == crc32c(b"old") and found.attributes == ATTRIBUTES
    assert tried.content("file") == b"old"


def test_a_put_replaces_content_and_attributes(tried: StoreUnderTest) -> None:
    tried.put("file", b"old")
    tried.put("file", b"newer", OTHERS)
    found = tried.store.stat("file")
    assert found is not None and found.checksum == crc32c(b"newer") and found.attributes == OTHERS
    assert tried.content("file") == b"newer"


@pytest.mark.parametrize("order", [("a/", "a/b"), ("a/b", "a/")])
def test_a_folder_keeps_its_attributes(tried: StoreUnderTest, order: tuple[str, str]) -> None:
    for path in order:
        tried.put(path, b"", OTHERS)
    tried.put("a/c", b"more")
    found = tried.store.stat("a/")
    assert found is not None
    assert (found.kind, found.size_bytes, found.attributes) == (Kind.FOLDER, 0, OTHERS)
    assert (found.checksum is None) == (Limit.FOLDERS_HAVE_NO_CHECKSUM in tried.limits)


def test_a_folder_that_is_put_again_has_the_new_attributes(tried: StoreUnderTest) -> None:
    tried.put("a/", b"", ATTRIBUTES)
    tried.put("a/b", b"x")
    tried.put("a/", b"", OTHERS)
    found = tried.store.stat("a/")
    assert found is not None and found.attributes == OTHERS
    assert tried.paths() == ["a/", "a/b"]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_set_attributes_keeps_data_and_checksum(tried: StoreUnderTest, algorithm: Algorithm) -> None:
    body = b"some content"
    claim = checksum_of(algorithm, body)
    tried.store.put("folder/fi le+%20", body, claim, ATTRIBUTES)
    tried.store.set_attributes("folder/fi le+%20", OTHERS, algorithm)
    found = tried.store.stat("folder/fi le+%20")
    assert found is not None and (found.checksum, found.attributes) == (claim, OTHERS)
    assert tried.content("folder/fi le+%20") == body


def test_set_attributes_of_a_folder(tried: StoreUnderTest) -> None:
    tried.put("a/", b"")
    tried.store.set_attributes("a/", OTHERS, Algorithm.CRC32C)
    found = tried.store.stat("a/")
    assert found is not None and found.attributes == OTHERS


def test_set_attributes_of_nothing_is_not_found(tried: StoreUnderTest) -> None:
    with pytest.raises(BlockferryError) as raised:
        tried.store.set_attributes("file", OTHERS, Algorithm.CRC32C)
    assert (raised.value.reason, raised.value.retryable) == ("NOT_FOUND", False)


def test_reading_nothing_is_not_found(tried: StoreUnderTest) -> None:
    with pytest.raises(BlockferryError) as raised:
        tried.content("file")
    assert raised.value.reason == "NOT_FOUND"


def test_a_long_content_is_read_in_slices(tried: StoreUnderTest) -> None:
    body = random.Random(1).randbytes(3 * MIB + 5)
    tried.put("file", body)
    slices = list(tried.store.read("file"))
    assert max(map(len, slices)) <= MIB
    assert b"".join(slices) == body


def test_a_read_that_is_given_up_does_not_harm_the_next_call(tried: StoreUnderTest) -> None:
    tried.put("file", bytes(3 * MIB))
    next(iter(tried.store.read("file")))
    tried.put("other", b"x")
    assert tried.content("other") == b"x"


@pytest.mark.parametrize(
    "path", ["", "/a", "a//b", "a/../b", "./a", "a/.", "a\x00", "a\nb", "a\x7f", "\ud800", "x" * 1025]
)
def test_a_path_that_is_no_key_is_refused_before_it_is_sent(tried: StoreUnderTest, path: str) -> None:
    for call in (
        lambda: tried.store.check_path(path),
        lambda: tried.put(path, b"x"),
        lambda: tried.store.begin(path, Algorithm.CRC32C, ATTRIBUTES),
    ):
        with pytest.raises(BlockferryError) as raised:
            call()
        assert raised.value.reason == "INVALID_KEY"
    assert tried.paths() == []


def test_a_file_beside_a_folder_of_its_name(tried: StoreUnderTest) -> None:
    tried.put("a", b"file")
    if Limit.NO_FILE_BESIDE_ITS_FOLDER in tried.limits:
        with pytest.raises(BlockferryError) as raised:
            tried.put("a/b", b"in the folder")
        assert (raised.value.reason, raised.value.retryable) == ("KEY_CONFLICT", False)
        return
    tried.put("a/b", b"in the folder")
    assert (tried.content("a"), tried.content("a/b")) == (b"file", b"in the folder")
    assert tried.paths() == ["a", "a/b"]


def test_a_backslash(tried: StoreUnderTest) -> None:
    if Limit.BACKSLASH_BECOMES_SLASH in tried.limits:
        with pytest.raises(BlockferryError, match="writes a slash for a backslash") as raised:
            tried.put("back\\slash", b"x")
        assert raised.value.reason == "INVALID_KEY"
        assert tried.paths() == []
        return
    tried.put("back\\slash", b"x")
    assert tried.paths() == ["back\\slash"]


def test_the_object_of_the_prefix_itself_is_no_entry(tried: StoreUnderTest) -> None:
    if not isinstance(tried.store, S3Store):
        pytest.skip("a store in memory has no prefix")
    assert tried.location is not None
    parent, _, name = tried.location.prefix.removesuffix("/").rpartition("/")
    outer = S3Store(replace(tried.location, prefix=f"{parent}/"))
    outer.put(f"{name}/", b"", crc32c(b""), ATTRIBUTES)
    tried.put("file", b"x")
    assert tried.paths() == ["file"]
