"""Objects as headers: what goes out with them, and what a HEAD of this or that store tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.base import Attributes, Kind, Stored
from stores.checksum import Algorithm, Checksum
from stores.s3_headers import FOLDER_TYPE, claim_headers, metadata_headers, seen_ms, stat_of, stored_of, whole_checksum

_HELLO = Checksum(Algorithm.CRC32C, 0x9A71BB4C)
_HEAD = {
    "content-length": "5",
    "last-modified": "Sat, 21 Nov 2026 11:49:27 GMT",
    "etag": '"5d41402abc4b2a76b9719d911017c592"',
    "x-amz-checksum-crc32c": "mnG7TA==",
}
_NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
_ATTRIBUTES = st.builds(Attributes, _NAMES, _NAMES, st.integers(0, 0o7777), st.integers(0, 10**14), st.integers(0, 9))


def test_a_file_as_a_head_tells_it() -> None:
    found = stat_of("a/b", _HEAD)
    assert (found.path, found.kind, found.size_bytes, found.mtime_ms) == ("a/b", Kind.FILE, 5, 1795261767000)
    assert (found.version, found.checksum, found.attributes) == ("5d41402abc4b2a76b9719d911017c592", _HELLO, None)


@given(attributes=_ATTRIBUTES, path=st.sampled_from(["a/b", "a/"]))
def test_attributes_come_back(attributes: Attributes, path: str) -> None:
    assert stat_of(path, _HEAD | metadata_headers(path, attributes)).attributes == attributes


@given(attributes=_ATTRIBUTES)
def test_attributes_of_a_folder_come_back_from_its_content_type_alone(attributes: Attributes) -> None:
    content_type = metadata_headers("a/", attributes)["content-type"]
    assert content_type.isascii() and content_type.split(";")[0] == FOLDER_TYPE
    assert stat_of("a/", _HEAD | {"content-type": content_type}).attributes == attributes


def test_the_content_type_of_a_file_tells_nothing() -> None:
    attributes = Attributes("o", "g", 0, 0, 0)
    assert "content-type" not in metadata_headers("a", attributes)
    content_type = metadata_headers("a/", attributes)["content-type"]
    assert stat_of("a", _HEAD | {"content-type": content_type}).attributes is None


@pytest.mark.parametrize("content_type", ["", "application/x-directory", "text/plain; charset=utf-8", ";;=;a", "a;b=%"])
def test_a_folder_of_other_tools_has_no_attributes(content_type: str) -> None:
    found = stat_of("a/", _HEAD | {"content-type": content_type})
    assert (found.kind, found.size_bytes, found.attributes) == (Kind.FOLDER, 0, None)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, _HELLO),  # SeaweedFS names no type after a put
        ({"x-amz-checksum-type": "FULL_OBJECT"}, _HELLO),
        ({"x-amz-checksum-type": "FULL_OBJECT", "etag": '"abc-2"'}, _HELLO),
        ({"etag": '"abc-2"'}, None),  # may be a checksum of checksums
        ({"x-amz-checksum-type": "COMPOSITE", "etag": '"abc-2"'}, None),
        ({"x-amz-checksum-type": "COMPOSITE"}, None),
        ({"x-amz-checksum-crc32c": "mnG7TA==-2"}, None),
        ({"x-amz-checksum-crc32c": "mnG7"}, None),
        ({"x-amz-checksum-crc32c": ""}, None),
        ({"x-amz-checksum-crc32c": "", "x-amz-checksum-crc32": "NhCmhg=="}, Checksum(Algorithm.CRC32, 0x3610A686)),
    ],
)
def test_only_the_checksum_of_the_whole_counts(headers: dict[str, str], expected: Checksum | None) -> None:
    assert whole_checksum(_HEAD | headers) == expected


def test_an_answer_that_is_no_head_raises() -> None:
    with pytest.raises(ValueError):
        stat_of("a", {"etag": '"x"'})


def test_a_claim_is_one_header() -> None:
    assert claim_headers(_HELLO) == {"x-amz-checksum-crc32c": "mnG7TA=="}


def test_what_a_put_answers() -> None:
    assert stored_of({"etag": '"abc"', "x-amz-version-id": "v1"}) == Stored("abc", "v1")
    assert stored_of({}) == Stored("")


_DATE_MS = 1_795_283_926_000
_DATE = "Sat, 21 Nov 2026 17:58:46 GMT"


def test_the_store_has_looked_before_it_told_its_time() -> None:
    assert seen_ms({"date": _DATE}, 0.0012) == _DATE_MS - 2
    assert stored_of({"date": _DATE}).written_ms == _DATE_MS
    for unknown in ({}, {"date": ""}, {"date": "yesterday"}, {"date": "Sat, 21 Nov 2026 17:58:46 -0000"}):
        assert (seen_ms(unknown, 0.1), stored_of(unknown).written_ms) == (0, 0)


@pytest.mark.parametrize(
    ("modified", "elapsed_s", "settled"),
    [
        ("Sat, 21 Nov 2026 17:58:46 GMT", 0.001, False),
        ("Sat, 21 Nov 2026 17:58:45 GMT", 0.001, False),  # it may have looked in the very second
        ("Sat, 21 Nov 2026 17:58:44 GMT", 0.001, True),
        ("Sat, 21 Nov 2026 17:58:44 GMT", 0.9, False),
        ("Sat, 21 Nov 2026 17:58:41 GMT", 0.9, True),
        ("Sat, 21 Nov 2026 17:59:46 GMT", 0.0, False),  # clocks that differ
    ],
)
def test_what_was_seen_too_soon_after_its_change_is_not_settled(modified: str, elapsed_s: float, settled: bool) -> None:
    assert stat_of("a", _HEAD | {"last-modified": modified, "date": _DATE}, elapsed_s).settled is settled
    assert not stat_of("a", _HEAD | {"last-modified": modified}, elapsed_s).settled, "its time is not known"
