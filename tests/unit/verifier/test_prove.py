"""An entry is proved with the least that proves it, and what fails it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from ledger.records import Action, EntryFailure, PlanEntry, Proof, Why
from stores.base import Condition, Kind, Stat
from stores.checksum import Algorithm
from stores.faulty import Fault, Harm, Script
from stores.hashing import checksum_of
from stores.memory import MemoryStore, forget
from tests.support.proving import ATTRIBUTES, TwoStores, check_of
from verifier.expect import Question
from verifier.prove import PROOF_CANCELLED, EntryProof, prove

BODY = bytes(range(256)) * 10


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Iterator[TwoStores]:
    names = tuple(f"{request.node.name}-{end}" for end in ("source", "sink"))
    yield TwoStores(*(MemoryStore(name, block_bytes=1000) for name in names))
    for name in names:
        forget(name)


def reason(proof: EntryProof) -> str:
    return proof.verdict.failure.reason if proof.verdict.failure else ""


# -- what a transfer wrote ---------------------------------------------------------------------------------------------


def test_stored_checksums_prove_a_file_without_reading(stores: TwoStores) -> None:
    never = Script(Fault("read", call=0), Fault("read_into", call=0), Fault("stored_checksum", call=0))
    proof = stores.prove(stores.moved("a", BODY), script=never)
    assert reason(proof) == ""
    assert proof.verdict.proof is Proof.STORED_CHECKSUM
    assert proof.verdict.expected == proof.verdict.found == checksum_of(Algorithm.CRC32C, BODY)
    assert proof.verdict.source_proven
    assert proof.read_back_bytes == 0


@pytest.mark.parametrize("body", [b"", b"x", BODY])
def test_any_size_is_proved(stores: TwoStores, body: bytes) -> None:
    assert reason(stores.prove(stores.moved("a", body))) == ""
    assert reason(stores.prove(stores.moved("b", body), claims_trusted=False)) == ""


def test_crc32_is_proved_as_crc32(stores: TwoStores) -> None:
    proof = stores.prove(stores.moved("a", BODY, Algorithm.CRC32))
    assert reason(proof) == ""
    assert proof.verdict.expected is not None
    assert proof.verdict.expected.algorithm is Algorithm.CRC32


def test_own_hash_is_said_so(stores: TwoStores) -> None:
    proof = stores.prove(stores.moved("a", BODY, None))
    assert (reason(proof), proof.verdict.source_proven) == ("", False)
    assert proof.verdict.proof is Proof.STORED_CHECKSUM


def test_untrusted_store_is_read_back(stores: TwoStores) -> None:
    proof = stores.prove(stores.moved("a", BODY), claims_trusted=False)
    assert reason(proof) == ""
    assert proof.verdict.proof is Proof.READ_BACK
    assert proof.read_back_bytes == len(BODY)


def test_damage_in_an_untrusted_store_is_found(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    stores.sink.damage("a", 99)
    assert reason(stores.prove(question, claims_trusted=False)) == "CHECKSUM_FAILURE"


def test_object_with_a_checksum_of_another_algorithm_is_read_back(stores: TwoStores) -> None:
    question = stores.moved("a", BODY, Algorithm.CRC32)
    stores.overwrite("a", BODY)
    proof = stores.prove(question)
    assert (reason(proof), proof.verdict.proof) == ("", Proof.READ_BACK)


def test_same_content_written_by_somebody_else_is_proved(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    assert question.receipt is not None
    other = replace(question, receipt=replace(question.receipt, etag="another"))
    assert reason(stores.prove(other)) == ""


def test_object_that_is_gone_is_missing(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    stores.sink.delete("a")
    assert reason(stores.prove(question)) == "OBJECT_MISSING"


def test_overwritten_object_fails(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    stores.overwrite("a", BODY[::-1])
    proof = stores.prove(question)
    assert reason(proof) == "CHECKSUM_FAILURE"
    stores.overwrite("a", BODY[:-1])
    assert reason(stores.prove(question, claims_trusted=False)) == "SIZE_DIFFERS"


def test_object_of_another_size_is_not_read(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    stores.overwrite("a", BODY[:-1])
    assert stores.prove(question, claims_trusted=False).read_back_bytes == 0


def test_other_attributes_fail(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    stores.sink.set_attributes("a", replace(ATTRIBUTES, owner="mallory"), Algorithm.CRC32C)
    assert reason(stores.prove(question)) == "METADATA_FAILURE"


def test_source_that_went_on_is_changed(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    stores.source.add("a", BODY + b"more", replace(ATTRIBUTES, mtime_ms=5))
    assert reason(stores.prove(question)) == "SOURCE_CHANGED"


def test_source_that_is_gone_is_changed(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    stores.source.delete("a")
    assert reason(stores.prove(question)) == "SOURCE_CHANGED"


def test_file_that_is_being_written_is_proved_up_to_its_known_length(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    assert question.entry.source is not None
    planned = replace(question.entry.source, condition=Condition.OPEN)
    stores.source.add("a", BODY + b"more", replace(ATTRIBUTES, mtime_ms=5), condition=Condition.OPEN)
    opened = replace(question, entry=replace(question.entry, source=planned))
    assert reason(stores.prove(opened)) == ""


def test_folder_is_proved_by_its_attributes(stores: TwoStores) -> None:
    question = stores.moved_folder("d/")
    proof = stores.prove(question)
    assert (reason(proof), proof.verdict.proof) == ("", Proof.NONE)
    stores.sink.set_attributes("d/", replace(ATTRIBUTES, permissions=0), Algorithm.CRC32C)
    assert reason(stores.prove(question)) == "METADATA_FAILURE"
    stores.sink.delete("d/")
    assert reason(stores.prove(question)) == "OBJECT_MISSING"


def test_entry_without_receipt_is_never_taken_for_moved(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    assert reason(stores.prove(replace(question, receipt=None))) == "RECEIPT_MISSING"


def test_change_of_metadata_is_proved_without_reading(stores: TwoStores) -> None:
    moved = stores.moved("a", BODY)
    assert moved.receipt is not None
    receipt = replace(moved.receipt, action=Action.METADATA, checksum=None)
    question = Question(replace(moved.entry, action=Action.METADATA), receipt)
    proof = stores.prove(question, claims_trusted=False)
    assert (reason(proof), proof.verdict.proof, proof.read_back_bytes) == ("", Proof.SIZE_ONLY, 0)


# -- a check -----------------------------------------------------------------------------------------------------------


def test_check_compares_what_both_stores_keep(stores: TwoStores) -> None:
    never = Script(Fault("read", call=0), Fault("read_into", call=0))
    proof = stores.prove(check_of(stores.moved("a", BODY)), script=never)
    assert (reason(proof), proof.verdict.proof, proof.verdict.source_proven) == ("", Proof.STORED_CHECKSUM, True)


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("algorithm", [Algorithm.CRC32C, Algorithm.CRC32, None])
@pytest.mark.parametrize("trusted", [True, False])
def test_check_proves_equal_files(stores: TwoStores, size: int, algorithm: Algorithm | None, trusted: bool) -> None:
    proof = stores.prove(check_of(stores.moved("a", (BODY * 2)[:size], algorithm)), claims_trusted=trusted)
    assert reason(proof) == ""
    assert proof.verdict.size_bytes == size


def test_check_reads_the_source_where_it_keeps_no_sums(stores: TwoStores) -> None:
    proof = stores.prove(check_of(stores.moved("a", BODY, None)))
    assert (reason(proof), proof.verdict.proof, proof.verdict.source_proven) == ("", Proof.READ_BACK, False)
    assert proof.read_back_bytes == 0


def test_check_finds_a_source_that_was_changed_since(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    stores.source.add("a", BODY[::-1], replace(ATTRIBUTES, mtime_ms=5))
    proof = stores.prove(check_of(question))
    assert reason(proof) == "CHECKSUM_FAILURE"
    assert proof.verdict.failure is not None
    assert "different versions" in proof.verdict.failure.message


def test_check_finds_damage_at_the_sink_only_by_reading(stores: TwoStores) -> None:
    question = check_of(stores.moved("a", BODY))
    stores.sink.damage("a", 0)
    assert reason(stores.prove(question, claims_trusted=False)) == "CHECKSUM_FAILURE"


def test_check_finds_other_sizes_without_reading(stores: TwoStores) -> None:
    question = check_of(stores.moved("a", BODY))
    stores.overwrite("a", BODY + b"x")
    never = Script(Fault("read", call=0), Fault("read_into", call=0), Fault("stored_checksum", call=0))
    assert reason(stores.prove(question, script=never)) == "SIZE_DIFFERS"


def test_check_does_not_compare_access_times(stores: TwoStores) -> None:
    question = check_of(stores.moved("a", BODY))
    stores.sink.set_attributes("a", replace(ATTRIBUTES, atime_ms=77), Algorithm.CRC32C)
    assert reason(stores.prove(question)) == ""
    stores.sink.set_attributes("a", replace(ATTRIBUTES, group="x"), Algorithm.CRC32C)
    assert reason(stores.prove(question)) == "METADATA_FAILURE"


def test_check_of_a_file_that_is_being_written_compares_what_was_copied(stores: TwoStores) -> None:
    question = check_of(stores.moved("a", BODY))
    stores.source.add("a", BODY + b"more", replace(ATTRIBUTES, mtime_ms=5), condition=Condition.OPEN)
    assert reason(stores.prove(question)) == ""
    stores.source.add("a", b"!" + BODY, replace(ATTRIBUTES, mtime_ms=5), condition=Condition.OPEN)
    assert reason(stores.prove(question)) == "CHECKSUM_FAILURE"


def test_check_of_a_folder_compares_attributes(stores: TwoStores) -> None:
    question = check_of(stores.moved_folder("d/"))
    assert reason(stores.prove(question)) == ""


@pytest.mark.parametrize(("end", "wanted"), [("source", "SOURCE_CHANGED"), ("sink", "OBJECT_MISSING")])
def test_check_of_what_has_vanished_since_the_listing_fails(stores: TwoStores, end: str, wanted: str) -> None:
    question = check_of(stores.moved("a", BODY))
    (stores.source if end == "source" else stores.sink).delete("a")
    assert reason(stores.prove(question)) == wanted


@pytest.mark.parametrize("action", [Action.MISSING, Action.EXTRA])
def test_one_sided_entry_keeps_its_failure(stores: TwoStores, action: Action) -> None:
    failure = EntryFailure("FILE_X", "one side only")
    question = Question(PlanEntry("a", action, Why.ONE_SIDED, Stat("a", Kind.FILE, 3, 1), None, failure))
    verdict = stores.prove(question, script=Script(Fault("stat", call=0))).verdict
    assert (verdict.failure, verdict.proof) == (failure, Proof.NONE)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["stat", "read", "stored_checksum", "read_into", "extents", "claimed_algorithm"])
def test_transient_error_is_tried_again_and_counted(stores: TwoStores, method: str) -> None:
    algorithm = None if method in ("read_into", "extents") else Algorithm.CRC32C
    question = check_of(stores.moved("a", BODY, algorithm))
    proof = stores.prove(question, claims_trusted=False, script=Script(Fault(method, call=1)))
    assert reason(proof) == ""
    assert proof.retry_count == 1


def test_content_that_breaks_off_is_read_again_from_its_begin(stores: TwoStores) -> None:
    body = BODY * 500
    question = stores.moved("a", body)
    proof = stores.prove(question, claims_trusted=False, script=Script(Fault("read", position=1)))
    assert reason(proof) == ""
    assert proof.read_back_bytes == len(body) + (1 << 20)


def test_error_of_one_entry_becomes_its_failure(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    denied = BlockferryError("ACCESS_DENIED", "no", path="a", host="h")
    verdict = stores.prove(question, script=Script(Fault("stat", call=0, path="a", error=denied))).verdict
    assert verdict.failure == EntryFailure("ACCESS_DENIED", "no", (("path", "a"), ("host", "h")))


def test_transient_error_of_one_entry_that_stays_becomes_its_failure(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    assert reason(stores.prove(question, script=Script(Fault("stat", call=0, path="a")))) == "STORE_UNAVAILABLE"


def test_store_that_answers_nobody_fails_all(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    with pytest.raises(BlockferryError) as caught:
        stores.prove(question, script=Script(Fault("stat", call=0)))
    assert caught.value.reason == "STORE_UNAVAILABLE"
    assert caught.value.coordinates["path"] == "a"


def test_bit_that_flips_on_the_way_back_is_found(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    script = Script(Fault("read", Harm.CORRUPT))
    assert reason(stores.prove(question, claims_trusted=False, script=script)) == "CHECKSUM_FAILURE"


def test_proof_that_nobody_waits_for_ends(stores: TwoStores) -> None:
    question = stores.moved("a", BODY)
    stop = threading.Event()
    stop.set()
    with pytest.raises(BlockferryError) as caught:
        prove(stores.bench(stop=stop), question)
    assert caught.value.reason == PROOF_CANCELLED


def test_entry_without_source_is_damage_of_the_ledger(stores: TwoStores) -> None:
    question = Question(PlanEntry("a", Action.COPY, Why.NEW, None))
    assert reason(stores.prove(question)) == "LEDGER_DAMAGED"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=st.binary(max_size=3000),
    other=st.binary(max_size=3000),
    algorithm=st.sampled_from([Algorithm.CRC32C, Algorithm.CRC32, None]),
    trusted=st.booleans(),
    as_check=st.booleans(),
)
def test_entry_is_proved_if_and_only_if_the_content_is_equal(
    stores: TwoStores, body: bytes, other: bytes, algorithm: Algorithm | None, trusted: bool, as_check: bool
) -> None:
    question = stores.moved("a", body, algorithm)
    stores.overwrite("a", other)
    asked = check_of(question) if as_check else question
    assert (reason(stores.prove(asked, claims_trusted=trusted)) == "") == (body == other)
