"""Decrypted keys are kept for a while, in a bounded number, and never shown."""

from __future__ import annotations

import pytest

from blockferry.errors import BlockferryError
from stores.hdfs.zones.data_keys import KEPT_COUNT, KEPT_S, DataKeys
from stores.hdfs.zones.kms_wire import EncryptedKey


class KmsScript:
    """Counts what is asked, at a time that the test sets."""

    def __init__(self) -> None:
        self.asked: list[EncryptedKey] = []
        self.now_s = 0.0
        self.failure: BlockferryError | None = None
        self.keys = DataKeys(self.decrypt, lambda: self.now_s)

    def decrypt(self, key: EncryptedKey) -> bytes:
        self.asked.append(key)
        if self.failure is not None:
            raise self.failure
        return b"dek:" + key.material


def key(number: int, version: str = "k1@0") -> EncryptedKey:
    return EncryptedKey("k1", version, b"i" * 16, number.to_bytes(12, "big"))


def test_a_key_is_asked_for_once() -> None:
    kms = KmsScript()
    assert kms.keys.get(key(1)) == kms.keys.get(key(1)) == b"dek:" + key(1).material
    assert kms.keys.get(key(2)) != kms.keys.get(key(1))
    assert kms.asked == [key(1), key(2)]


def test_another_version_of_the_zone_key_is_another_question() -> None:
    kms = KmsScript()
    kms.keys.get(key(1))
    kms.keys.get(key(1, "k1@1"))
    assert len(kms.asked) == 2


def test_a_key_is_asked_for_again_after_its_time() -> None:
    kms = KmsScript()
    kms.keys.get(key(1))
    kms.now_s = KEPT_S - 1
    kms.keys.get(key(1))
    assert len(kms.asked) == 1
    kms.now_s = KEPT_S
    kms.keys.get(key(1))
    kms.now_s = 2 * KEPT_S - 1
    kms.keys.get(key(1))
    assert len(kms.asked) == 2


def test_a_right_that_was_lost_counts_after_the_time() -> None:
    kms = KmsScript()
    kms.keys.get(key(1))
    kms.now_s, kms.failure = KEPT_S, BlockferryError("ACCESS_DENIED", "no more")
    with pytest.raises(BlockferryError):
        kms.keys.get(key(1))


def test_failures_are_not_kept() -> None:
    kms = KmsScript()
    kms.failure = BlockferryError("KMS_UNAVAILABLE", "not now", retryable=True)
    with pytest.raises(BlockferryError):
        kms.keys.get(key(1))
    kms.failure = None
    assert kms.keys.get(key(1))


def test_only_so_many_are_kept_and_none_beyond_its_time() -> None:
    kms = KmsScript()
    for number in range(KEPT_COUNT + 10):
        kms.keys.get(key(number))
    assert len(kms.keys._kept) == KEPT_COUNT
    kms.keys.get(key(KEPT_COUNT + 9))
    assert len(kms.asked) == KEPT_COUNT + 10
    kms.now_s = KEPT_S
    kms.keys.get(key(0))
    assert list(kms.keys._kept) == [key(0)]


def test_keys_are_forgotten_when_told() -> None:
    kms = KmsScript()
    kms.keys.get(key(1))
    kms.keys.clear()
    kms.keys.get(key(1))
    assert len(kms.asked) == 2


def test_no_key_shows() -> None:
    kms = KmsScript()
    kms.keys.get(key(1))
    assert "dek" not in repr(kms.keys)
