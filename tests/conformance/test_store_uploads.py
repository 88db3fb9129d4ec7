"""Uploads in parts: the object appears whole, with the checksum of the whole, or not at all."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from blockferry.errors import BlockferryError
from stores.base import Part, Upload
from stores.checksum import Algorithm, Checksum, concatenation
from stores.hashing import checksum_of
from stores.s3 import FEATURES, S3Store
from tests.support.stores_under_test import ATTRIBUTES, OTHERS, Limit, StoreUnderTest, false_of


class Sending:
    """One upload with its bodies."""

    def __init__(self, tried: StoreUnderTest, tail_sizes: tuple[int, ...], algorithm: Algorithm = Algorithm.CRC32C):
        """Begins an upload of one part that is as small as allowed, and of others of the given sizes beyond that."""
        self.tried = tried
        sizes = [tried.part_bytes + more for more in tail_sizes[:-1]] + [tail_sizes[-1]]
        self.bodies = [random.Random(size).randbytes(size) for size in sizes]
        self.algorithm = algorithm
        self.upload: Upload = tried.store.begin("folder/file", algorithm, OTHERS)

    @property
    def content(self) -> bytes:
        return b"".join(self.bodies)

    @property
    def claim(self) -> Checksum:
        return concatenation((self.sum(body), len(body)) for body in self.bodies)

    def sum(self, body: bytes) -> Checksum:
        return checksum_of(self.algorithm, body)

    def part(self, number: int) -> Part:
        body = self.bodies[number - 1]
        return self.tried.store.put_part(self.upload, number, memoryview(body), self.sum(body))

    def parts(self) -> tuple[Part, ...]:
        return tuple(self.part(number) for number in range(1, len(self.bodies) + 1))

    def complete(self, parts: tuple[Part, ...]) -> None:
        self.tried.store.complete(self.upload, parts, self.claim, len(self.content))

    def assert_there(self) -> None:
        found = self.tried.store.stat("folder/file")
        assert found is not None
        assert (found.size_bytes, found.checksum, found.attributes) == (len(self.content), self.claim, OTHERS)
        assert self.tried.content("folder/file") == self.content


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("sizes", [(7,), (0, 1), (3, 0, 70_000), (0, 9, 1)])
def test_parts_become_one_object(tried: StoreUnderTest, sizes: tuple[int, ...], algorithm: Algorithm) -> None:
    sending = Sending(tried, sizes, algorithm)
    parts = sending.parts()
    assert tried.store.stat("folder/file") is None
    sending.complete(parts)
    sending.assert_there()


def test_parts_may_come_in_any_order(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (0, 5))
    second, first = sending.part(2), sending.part(1)
    sending.complete((first, second))
    sending.assert_there()


def test_a_false_claim_of_a_part_is_refused(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (3, 4))
    body = memoryview(sending.bodies[0])
    claim = false_of(sending.sum(sending.bodies[0]))
    with pytest.raises(BlockferryError) as raised:
        tried.store.put_part(sending.upload, 1, body, claim)
    assert raised.value.reason == "CHECKSUM_REJECTED"
    assert raised.value.coordinates["expected"] == claim.hex
    sending.complete(sending.parts())
    sending.assert_there()


def test_a_false_claim_of_the_whole_is_refused_and_the_true_one_taken(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (3, 4))
    parts = sending.parts()
    with pytest.raises(BlockferryError) as raised:
        tried.store.complete(sending.upload, parts, false_of(sending.claim), len(sending.content))
    assert raised.value.reason == "CHECKSUM_REJECTED"
    assert tried.store.stat("folder/file") is None
    sending.complete(parts)
    sending.assert_there()


def test_a_false_completion_leaves_the_old_object(tried: StoreUnderTest) -> None:
    tried.put("folder/file", b"old")
    sending = Sending(tried, (3, 4))
    with pytest.raises(BlockferryError):
        tried.store.complete(sending.upload, sending.parts(), false_of(sending.claim), len(sending.content))
    assert tried.content("folder/file") == b"old"
    tried.store.abort(sending.upload)


def test_a_false_size_of_the_whole(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (3, 4))
    parts = sending.parts()
    if Limit.SIZE_OF_COMPLETION_UNCHECKED in tried.limits:
        tried.store.complete(sending.upload, parts, sending.claim, len(sending.content) + 1)
        sending.assert_there()
        return
    with pytest.raises(BlockferryError) as raised:
        tried.store.complete(sending.upload, parts, sending.claim, len(sending.content) + 1)
    assert not raised.value.retryable or raised.value.reason == "CHECKSUM_REJECTED"
    assert tried.store.stat("folder/file") is None


def test_a_false_checksum_in_the_list_of_parts_is_refused(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (3, 4))
    first, second = sending.parts()
    assert first.checksum is not None
    with pytest.raises(BlockferryError) as raised:
        sending.complete((replace(first, checksum=false_of(first.checksum)), second))
    assert raised.value.reason == "CHECKSUM_REJECTED"
    assert tried.store.stat("folder/file") is None


def test_a_part_that_is_missing_is_refused(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (3, 4))
    first = sending.part(1)
    with pytest.raises(BlockferryError) as raised:
        sending.complete((first,))
    assert raised.value.reason == "CHECKSUM_REJECTED"
    assert tried.store.stat("folder/file") is None


def test_a_part_that_is_sent_again_replaces_the_earlier_one(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (3, 4))
    other = bytes(len(sending.bodies[0]))
    tried.store.put_part(sending.upload, 1, memoryview(other), sending.sum(other))
    sending.complete(sending.parts())
    sending.assert_there()


def test_an_upload_is_resumed_from_the_parts_that_are_listed(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (3, 0, 8))
    assert tried.store.list_parts(sending.upload) == ()
    sending.part(3)
    sending.part(1)
    listed = tried.store.list_parts(sending.upload)
    assert [(part.number, part.size_bytes) for part in listed] == [(1, len(sending.bodies[0])), (3, 8)]
    if Limit.PARTS_LISTED_WITHOUT_CHECKSUMS in tried.limits:
        assert [part.checksum for part in listed] == [None, None]
        listed = tuple(replace(part, checksum=sending.sum(sending.bodies[part.number - 1])) for part in listed)
    assert [part.checksum for part in listed] == [sending.sum(sending.bodies[0]), sending.sum(sending.bodies[2])]
    first, third = listed
    sending.complete((first, sending.part(2), third))
    sending.assert_there()


def test_a_completion_whose_answer_was_lost_may_be_sent_again(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (3, 4))
    parts = sending.parts()
    first = tried.store.complete(sending.upload, parts, sending.claim, len(sending.content))
    again = tried.store.complete(sending.upload, parts, sending.claim, len(sending.content))
    assert again.etag == first.etag
    sending.assert_there()


def test_an_aborted_upload_is_gone(tried: StoreUnderTest) -> None:
    sending = Sending(tried, (3, 4))
    parts = sending.parts()
    tried.store.abort(sending.upload)
    tried.store.abort(sending.upload)
    for call in (lambda: tried.store.list_parts(sending.upload), lambda: sending.complete(parts)):
        with pytest.raises(BlockferryError) as raised:
            call()
        assert (raised.value.reason, raised.value.retryable) == ("NO_SUCH_UPLOAD", False)
    assert tried.store.stat("folder/file") is None
    assert tried.paths() == []


def test_uploads_of_a_path_that_were_begun_since_then_are_aborted(tried: StoreUnderTest) -> None:
    store, minute_ms = tried.store, 60_000
    names = ["folder/file", "folder/file 2+&é", "folder/file/below", "folder/fil"]
    first, *others = (store.begin(name, Algorithm.CRC32C, ATTRIBUTES) for name in names)
    second = store.begin("folder/file", Algorithm.CRC32C, OTHERS)
    now_ms = time.time_ns() // 1_000_000
    assert store.abort_since("folder/file", now_ms + minute_ms) == 0
    assert store.abort_since("folder/file", now_ms - minute_ms) == 2
    assert store.abort_since("folder/file", now_ms - minute_ms) == 0
    for gone in (first, second):
        with pytest.raises(BlockferryError, match="NO_SUCH_UPLOAD"):
            store.list_parts(gone)
    for left in others:
        assert store.list_parts(left) == ()
        assert store.abort_since(left.path, now_ms - minute_ms) == 1


def test_more_uploads_of_a_path_than_a_page_holds_are_aborted(tried: StoreUnderTest) -> None:
    since_ms = time.time_ns() // 1_000_000 - 60_000
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: tried.store.begin("folder/file", Algorithm.CRC32C, OTHERS), range(1005)))
    if Limit.UPLOADS_OF_ONE_KEY_NOT_PAGED in tried.limits:
        with pytest.raises(BlockferryError, match="STORE_REFUSED"):
            tried.store.abort_since("folder/file", since_ms)
        return
    assert tried.store.abort_since("folder/file", since_ms) == 1005
    assert tried.store.abort_since("folder/file", since_ms) == 0


def test_an_upload_that_is_gone_does_not_take_another_object_for_its_own(tried: StoreUnderTest) -> None:
    tried.put("folder/file", b"somebody else's")
    sending = Sending(tried, (3, 4))
    parts = sending.parts()
    tried.store.abort(sending.upload)
    with pytest.raises(BlockferryError) as raised:
        sending.complete(parts)
    assert raised.value.reason == "NO_SUCH_UPLOAD"


@pytest.mark.parametrize("algorithm", Algorithm)
def test_set_attributes_of_an_object_in_parts_keeps_its_checksum(tried: StoreUnderTest, algorithm: Algorithm) -> None:
    sending = Sending(tried, (3, 4), algorithm)
    sending.complete(sending.parts())
    tried.store.set_attributes("folder/file", ATTRIBUTES, algorithm)
    found = tried.store.stat("folder/file")
    assert found is not None and (found.attributes, found.checksum) == (ATTRIBUTES, sending.claim)
    assert tried.content("folder/file") == sending.content


def test_set_attributes_of_an_object_that_is_too_large_for_one_copy(tried: StoreUnderTest) -> None:
    if tried.location is None:
        pytest.skip("a store in memory copies nothing")
    sending = Sending(tried, (3, 4))
    sending.complete(sending.parts())
    store = S3Store(tried.location, features=replace(FEATURES, max_single_put_bytes=tried.part_bytes))
    if Limit.NO_COPY_IN_PARTS in tried.limits:
        with pytest.raises(BlockferryError):
            store.set_attributes("folder/file", ATTRIBUTES, Algorithm.CRC32C)
        sending.assert_there()
        return
    store.set_attributes("folder/file", ATTRIBUTES, Algorithm.CRC32C)
    found = tried.store.stat("folder/file")
    assert found is not None and (found.attributes, found.checksum) == (ATTRIBUTES, sending.claim)
    assert tried.content("folder/file") == sending.content
