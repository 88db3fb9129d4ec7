"""Every difference has its reason, damage is never hidden, and equality is a proof."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.records import EntryFailure, Proof, Verdict
from stores.base import Attributes, Kind, Stat
from stores.checksum import Algorithm, Checksum
from verifier.expect import Expectation
from verifier.judge import judge, missing, proof_for

CRC = Checksum(Algorithm.CRC32C, 7)
OTHER = Checksum(Algorithm.CRC32C, 8)
ATTRIBUTES = Attributes("hdfs", "users", 0o644, 1000, 2000)
EXPECTED = Expectation(Kind.FILE, 10, CRC, True, ATTRIBUTES)
FOUND = Stat("a", Kind.FILE, 10, 5, ATTRIBUTES, "etag", checksum=CRC)
CHANGE = EntryFailure("SOURCE_CHANGED", "changed")


def reason(verdict: Verdict) -> str:
    return verdict.failure.reason if verdict.failure else ""


def test_equal_is_proved() -> None:
    verdict = judge("a", EXPECTED, FOUND, CRC, Proof.STORED_CHECKSUM)
    assert verdict == Verdict("a", Proof.STORED_CHECKSUM, 10, CRC, CRC, True)


def test_verdict_says_when_the_expected_is_our_own_hash() -> None:
    assert not judge("a", replace(EXPECTED, source_proven=False), FOUND, CRC, Proof.STORED_CHECKSUM).source_proven


@pytest.mark.parametrize(
    ("found", "content", "change", "wanted"),
    [
        (replace(FOUND, size_bytes=9), None, None, "SIZE_DIFFERS"),
        (replace(FOUND, kind=Kind.FOLDER), None, None, "SIZE_DIFFERS"),
        (FOUND, OTHER, None, "CHECKSUM_FAILURE"),
        (FOUND, CRC, CHANGE, "SOURCE_CHANGED"),
        (replace(FOUND, attributes=None), CRC, None, "METADATA_FAILURE"),
        (replace(FOUND, attributes=replace(ATTRIBUTES, owner="x")), CRC, None, "METADATA_FAILURE"),
        # The gravest comes first.
        (replace(FOUND, size_bytes=9, attributes=None), OTHER, CHANGE, "SIZE_DIFFERS"),
        (replace(FOUND, attributes=None), OTHER, CHANGE, "CHECKSUM_FAILURE"),
        (replace(FOUND, attributes=None), CRC, CHANGE, "SOURCE_CHANGED"),
    ],
)
def test_difference_has_its_reason(
    found: Stat, content: Checksum | None, change: EntryFailure | None, wanted: str
) -> None:
    assert reason(judge("a", EXPECTED, found, content, Proof.STORED_CHECKSUM, change)) == wanted


def test_checksum_failure_tells_both_sums() -> None:
    verdict = judge("a", EXPECTED, FOUND, OTHER, Proof.READ_BACK)
    assert verdict.failure is not None
    coordinates = dict(verdict.failure.coordinates)
    assert coordinates["path"] == "a"
    assert coordinates["expected"] == f"CRC32C:{CRC.base64}"
    assert coordinates["found"] == f"CRC32C:{OTHER.base64}"
    assert (verdict.expected, verdict.found) == (CRC, OTHER)


@pytest.mark.parametrize(
    ("kept", "name"),
    [
        (replace(ATTRIBUTES, owner="root"), "owner"),
        (replace(ATTRIBUTES, group="root"), "group"),
        (replace(ATTRIBUTES, permissions=0o600), "permissions"),
        (replace(ATTRIBUTES, mtime_ms=1), "mtime"),
        (replace(ATTRIBUTES, atime_ms=1), "atime"),
        (replace(ATTRIBUTES, owner="root", atime_ms=1), "owner, atime"),
    ],
)
def test_metadata_failure_names_the_attribute(kept: Attributes, name: str) -> None:
    verdict = judge("a", EXPECTED, replace(FOUND, attributes=kept), CRC, Proof.STORED_CHECKSUM)
    assert verdict.failure is not None
    assert verdict.failure.reason == "METADATA_FAILURE"
    assert dict(verdict.failure.coordinates)["attribute"] == name


def test_permissions_are_told_in_octal() -> None:
    kept = replace(ATTRIBUTES, permissions=0o600)
    verdict = judge("a", EXPECTED, replace(FOUND, attributes=kept), CRC, Proof.STORED_CHECKSUM)
    assert verdict.failure is not None
    assert dict(verdict.failure.coordinates)["found"] == "0600"


def test_times_count_only_where_asked() -> None:
    kept = replace(FOUND, attributes=replace(ATTRIBUTES, mtime_ms=1, atime_ms=1))
    lax = replace(EXPECTED, with_atime=False, with_mtime=False)
    assert reason(judge("a", lax, kept, CRC, Proof.STORED_CHECKSUM)) == ""


def test_unknown_attributes_are_not_compared() -> None:
    verdict = judge("a", replace(EXPECTED, attributes=None), FOUND, CRC, Proof.STORED_CHECKSUM)
    assert verdict.failure is None


def test_attributes_that_the_store_cannot_keep_are_not_missed() -> None:
    found = replace(FOUND, attributes=None, keeps_attributes=False)
    assert judge("a", EXPECTED, found, CRC, Proof.STORED_CHECKSUM).failure is None


def test_another_version_of_the_file_is_told_from_damage() -> None:
    older = replace(FOUND, attributes=replace(ATTRIBUTES, mtime_ms=1))
    damaged, replaced = (judge("a", EXPECTED, found, OTHER, Proof.READ_BACK) for found in (FOUND, older))
    assert damaged.failure is not None
    assert replaced.failure is not None
    assert "different versions" in replaced.failure.message
    assert "different versions" not in damaged.failure.message


def test_object_that_is_gone_is_missing() -> None:
    verdict = missing("a", 10)
    assert reason(verdict) == "OBJECT_MISSING"
    assert verdict.proof is Proof.NONE


OTHER_ALGORITHM = Checksum(Algorithm.CRC32, 7)


@pytest.mark.parametrize(
    ("expected", "kept", "trusted", "proof"),
    [
        (EXPECTED, CRC, True, Proof.STORED_CHECKSUM),
        (EXPECTED, OTHER, True, Proof.STORED_CHECKSUM),
        (EXPECTED, CRC, False, Proof.READ_BACK),
        (EXPECTED, None, True, Proof.READ_BACK),
        (EXPECTED, OTHER_ALGORITHM, True, Proof.READ_BACK),
        (replace(EXPECTED, size_bytes=11), CRC, False, Proof.SIZE_ONLY),
        (replace(EXPECTED, checksum=None), CRC, True, Proof.SIZE_ONLY),
        (replace(EXPECTED, worth_reading=False), None, True, Proof.SIZE_ONLY),
        (replace(EXPECTED, worth_reading=False), CRC, True, Proof.STORED_CHECKSUM),
        (replace(EXPECTED, kind=Kind.FOLDER, checksum=None), None, False, Proof.NONE),
    ],
)
def test_content_is_read_back_only_where_nothing_else_proves_it(
    expected: Expectation, kept: Checksum | None, trusted: bool, proof: Proof
) -> None:
    assert proof_for(expected, replace(FOUND, checksum=kept), trusted) is proof


CHECKSUMS = st.builds(Checksum, st.sampled_from(Algorithm), st.integers(0, 2**32 - 1))


@given(CHECKSUMS, CHECKSUMS, st.booleans())
def test_content_is_proved_if_and_only_if_the_sums_are_equal(wanted: Checksum, kept: Checksum, trusted: bool) -> None:
    expected = replace(EXPECTED, checksum=wanted)
    found = replace(FOUND, checksum=kept)
    proof = proof_for(expected, found, trusted)
    content = kept if proof is Proof.STORED_CHECKSUM else wanted  # what reading back would give
    verdict = judge("a", expected, found, content, proof)
    assert (verdict.failure is None) == (content == wanted)
    if not trusted or kept.algorithm is not wanted.algorithm:
        assert proof is Proof.READ_BACK


@given(
    st.builds(
        Attributes,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 0o777),
        st.integers(0, 3),
        st.integers(0, 3),
    )
)
def test_metadata_is_proved_if_and_only_if_it_is_equal(kept: Attributes) -> None:
    verdict = judge("a", EXPECTED, replace(FOUND, attributes=kept), CRC, Proof.STORED_CHECKSUM)
    assert (verdict.failure is None) == (kept == ATTRIBUTES)
