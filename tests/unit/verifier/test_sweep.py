"""Two listings prove what they show as it must be; everything else is asked for by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ledger.records import Action, Proof
from stores.base import Condition
from stores.checksum import Algorithm
from stores.faulty import Fault, Script
from stores.memory import MemoryStore, forget
from tests.support.proving import ATTRIBUTES, TwoStores, check_of
from verifier.expect import Question
from verifier.prove import EntryProof
from verifier.sweep import LEAST_COUNT, groups, sweep


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Iterator[TwoStores]:
    names = tuple(f"{request.node.name}-{end}" for end in ("source", "sink"))
    yield TwoStores(*(MemoryStore(name) for name in names))
    for name in names:
        forget(name)


def moved(stores: TwoStores, folder: str = "f/", count: int = LEAST_COUNT) -> tuple[Question, ...]:
    return tuple(stores.moved(f"{folder}{number:03}", b"content %d" % number) for number in range(count))


def swept(stores: TwoStores, group: tuple[Question, ...], *faults: Fault) -> dict[str, EntryProof]:
    return sweep(stores.bench(script=Script(*faults)), group)


def test_a_folder_is_proved_with_one_question_to_each_store(stores: TwoStores) -> None:
    group = moved(stores)
    proofs = swept(stores, group, Fault("stat", call=3))  # each store has a count of its own in a script
    assert list(proofs) == [question.entry.path for question in group]
    for question, proof in zip(group, proofs.values(), strict=True):
        assert question.receipt is not None
        verdict = proof.verdict
        assert (verdict.proof, verdict.failure, verdict.source_proven) == (Proof.STORED_CHECKSUM, None, True)
        assert verdict.expected == verdict.found == question.receipt.checksum
        assert verdict.size_bytes == question.size_bytes


def test_it_says_what_a_question_for_each_file_says(stores: TwoStores) -> None:
    group = moved(stores)
    proofs = swept(stores, group)
    for question in group:
        proof, other = proofs[question.entry.path], stores.prove(question)
        assert proof.verdict == other.verdict
        assert proof.seen is not None and other.seen is not None
        assert replace(proof.seen, checksum=None) == replace(other.seen, checksum=None)


def test_the_attributes_of_a_put_are_known_while_the_listing_shows_its_second(stores: TwoStores) -> None:
    group = moved(stores)
    mine, other = group[7].receipt, group[8].receipt
    assert mine is not None and other is not None
    later = replace(group[7], receipt=replace(mine, written_ms=mine.written_ms - 1000))
    unknown = replace(group[8], receipt=replace(other, written_ms=0))
    proofs = swept(stores, (*group[:7], later, unknown, *group[9:]))
    seen = {path: proof.seen for path, proof in proofs.items()}
    assert seen[group[7].entry.path] is None, "somebody may have written it after us"
    assert seen[group[8].entry.path] is None
    found = seen[group[9].entry.path]
    assert found is not None and found.attributes == ATTRIBUTES and found.seen_ms


@pytest.mark.parametrize("harm", ["gone", "overwritten", "longer", "source gone", "source changed"])
def test_what_is_not_as_it_must_be_is_left_to_be_asked_for(stores: TwoStores, harm: str) -> None:
    group = moved(stores)
    path = group[7].entry.path
    match harm:
        case "gone":
            stores.sink.delete(path)
        case "overwritten":
            stores.overwrite(path, b"CONTENT 7")
        case "longer":
            stores.overwrite(path, b"content 7 and more")
        case "source gone":
            stores.source.delete(path)
        case "source changed":
            stores.source.add(path, b"content 7", replace(ATTRIBUTES, mtime_ms=ATTRIBUTES.mtime_ms + 1))
    proofs = swept(stores, group)
    assert path not in proofs
    assert len(proofs) == len(group) - 1


def test_a_first_file_without_its_attributes_proves_no_neighbour(stores: TwoStores) -> None:
    group = moved(stores)
    stores.overwrite(group[0].entry.path, b"content 0", replace(ATTRIBUTES, owner="somebody"))
    proofs = swept(stores, group)
    assert [proof.verdict.failure.reason for proof in proofs.values() if proof.verdict.failure] == ["METADATA_FAILURE"]
    assert list(proofs) == [group[0].entry.path]


@pytest.mark.parametrize("call", [1, 2])
def test_a_listing_that_fails_proves_the_first_file_only(stores: TwoStores, call: int) -> None:
    group = moved(stores)
    assert list(swept(stores, group, Fault("list_folder", call=call))) == [group[0].entry.path]


def test_a_listing_of_mostly_other_files_is_given_up(stores: TwoStores) -> None:
    group = moved(stores, "f/9")
    for number in range(300):
        stores.source.add(f"f/5{number:03}", b"", ATTRIBUTES)
    first = stores.moved("f/0", b"x")
    assert list(swept(stores, (first, *group))) == ["f/0"]


def test_few_files_and_other_kinds_are_not_swept(stores: TwoStores) -> None:
    group = moved(stores)
    assert groups(group) == (group,)
    assert groups(group[1:]) == ()
    apart = moved(stores, "g/", LEAST_COUNT - 1) + group
    assert groups(apart) == (group,)
    one = group[0]
    assert one.receipt is not None and one.entry.source is not None
    others = (
        Question(one.entry),
        check_of(one),
        replace(one, receipt=replace(one.receipt, etag="")),
        replace(one, receipt=replace(one.receipt, checksum=None)),
        replace(one, receipt=replace(one.receipt, action=Action.METADATA)),
        replace(one, entry=replace(one.entry, action=Action.METADATA)),
        replace(one, entry=replace(one.entry, source=replace(one.entry.source, condition=Condition.OPEN))),
        stores.moved_folder("f/000/"),
    )
    for other in others:
        assert groups((other, *group[1:])) == (), other


def test_own_hash_is_said_so(stores: TwoStores) -> None:
    group = tuple(stores.moved(f"{number:03}", b"x", None) for number in range(LEAST_COUNT))
    assert {proof.verdict.source_proven for proof in swept(stores, group).values()} == {False}


def test_crc32_stays_crc32(stores: TwoStores) -> None:
    group = tuple(stores.moved(f"{number:03}", b"x", Algorithm.CRC32) for number in range(LEAST_COUNT))
    found = [proof.verdict.found for proof in swept(stores, group).values()]
    assert {checksum.algorithm for checksum in found if checksum} == {Algorithm.CRC32}
    assert len(found) == LEAST_COUNT


def test_the_hash_of_an_encrypted_files_plaintext_is_said_to_be_our_own(stores: TwoStores) -> None:
    group = tuple(_encrypted(question) for question in moved(stores))
    proofs = swept(stores, group)
    assert len(proofs) == len(group)
    for question in group:
        proof = proofs[question.entry.path]
        assert (proof.verdict.source_proven, proof.verdict.failure) == (False, None)
        assert proof.verdict == stores.prove(question).verdict


def _encrypted(question: Question) -> Question:
    assert question.entry.source is not None
    source = replace(question.entry.source, condition=Condition.ENCRYPTED)
    return replace(question, entry=replace(question.entry, source=source))
