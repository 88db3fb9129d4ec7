"""Two listings beside what was seen before: nothing but questions is spared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from ledger.records import Action, PlanEntry
from ledger.sightings import Sightings, sightings_of, sightings_table
from scanner.decide import Rules, decide, needs_attributes
from scanner.march import Pair, march
from scanner.skim import Same, skim
from stores.base import Attributes, Condition, Kind, SinkRow, SourceRow, Stat, Stretch, sink_row, source_row
from tests.support.listings import OWNER, file, folder, written

LARGEST = 100
RULES = Rules(transfer_all=False, fail_open=False, max_object_bytes=LARGEST, check_path=lambda path: None)
Found = tuple[Stat, bool]  # an object with its attributes, and whether it was seen before


def stretches(
    stats: Sequence[Stat], size: int, row_of: Callable[[Stat], SourceRow | SinkRow | None]
) -> Iterator[Stretch | None]:
    """Yields a listing in stretches, with pauses."""
    for at in range(0, len(stats), size):
        some = stats[at : at + size]
        yield Stretch([stat.path for stat in some], [row_of(stat) for stat in some], some.__getitem__)
        yield None


def seen(stats: Iterable[Stat], size: int = 3) -> Iterator[Sightings]:
    rows = [replace(stat, seen_ms=stat.mtime_ms + 10_000) for stat in stats]
    return (sightings_of(sightings_table(rows[at : at + size])) for at in range(0, len(rows), size))


def listed(stats: Iterable[Stat]) -> list[Stat]:
    return [replace(stat, attributes=None) for stat in stats]


def skimmed(source: Sequence[Stat], found: Sequence[Stat], known: Iterable[Stat], size: int = 2) -> list[Pair | Same]:
    ends = stretches(source, size, source_row), stretches(listed(found), size, sink_row)
    items = skim(*ends, seen(known), "", LARGEST)
    return [item for item in items if item is not None]


paths = st.lists(st.sampled_from([f"{a}{b}" for a in "abc" for b in ("", "-", "/", "1", "2")]), unique=True).map(sorted)
attributes = st.sampled_from(
    [OWNER, replace(OWNER, owner="bob"), replace(OWNER, mtime_ms=2), replace(OWNER, atime_ms=9)]
)


@st.composite
def entries(draw: st.DrawFn) -> list[Stat]:
    def entry(path: str) -> Stat:
        kept = draw(attributes)
        if path.endswith("/"):
            return folder(path, kept)
        condition = draw(st.sampled_from([Condition.PLAIN, Condition.PLAIN, Condition.OPEN]))
        return file(path, draw(st.sampled_from([0, 1, LARGEST + 1])), kept, condition)

    return [entry(path) for path in draw(paths)]


def plan(pairs: Iterable[Pair], truth: dict[str, Stat]) -> tuple[dict[str, PlanEntry | None], set[str]]:
    """Returns what is decided of pairs, and which objects had to be asked for."""
    decided: dict[str, PlanEntry | None] = {}
    asked = set()
    for pair in pairs:
        if needs_attributes(pair):
            asked.add(pair.path)
            pair = Pair(pair.source, truth[pair.path])
        decided[pair.path] = decide(pair, RULES)
    return decided, asked


def judged(entry: PlanEntry | None) -> PlanEntry | None:
    """Returns a decision without the object, whose attributes may be known though they do not matter."""
    return replace(entry, found=None) if entry is not None else None


def differ_alone(source: Stat, found: Stat) -> bool:
    """Returns whether the attributes differ, and do not make the file another one. Large files are refused, but not
    before they were asked for."""
    wanted, kept = source.attributes, found.attributes
    assert wanted is not None and kept is not None
    is_other_file = source.kind is Kind.FILE and wanted.mtime_ms != kept.mtime_ms
    return not is_other_file and replace(kept, atime_ms=wanted.atime_ms) != wanted


@settings(max_examples=200, deadline=None)
@given(source=entries(), found=entries(), data=st.data())
def test_the_same_is_decided_with_less_questions(source: list[Stat], found: list[Stat], data: st.DataObject) -> None:
    truth = {stat.path: written(stat) for stat in found}
    known = [stat for stat in truth.values() if data.draw(st.booleans())]
    # What was seen before it was changed, and what is gone: facts that say nothing about now.
    stale = [replace(stat, version="old") if data.draw(st.booleans()) else stat for stat in known]
    items = skimmed(source, list(truth.values()), stale, data.draw(st.integers(1, 4)))
    runs = [item for item in items if isinstance(item, Same)]
    same = {path for run in runs for path in run.sightings.paths[run.begin : run.end]}
    wanted, questions = plan(
        (pair for pair in march(iter(source), iter(listed(truth.values()))) if pair is not None), truth
    )
    decided, asked = plan((item for item in items if isinstance(item, Pair)), truth)
    assert {path for path, entry in wanted.items() if path not in decided} == same
    assert all(entry is not None and entry.action is Action.SKIP for path in same for entry in [wanted[path]])
    assert {path: judged(entry) for path, entry in decided.items()} == {path: judged(wanted[path]) for path in decided}
    fresh = {stat.path for stat in stale if stat.version == "etag"}
    only_attributes = {stat.path for stat in source if stat.path in truth and differ_alone(stat, truth[stat.path])}
    assert asked == questions - (fresh - only_attributes), "what was seen is not asked for, all else is"
    assert sum(run.entry_count for run in runs) == len(same)
    sizes = {stat.path: stat.size_bytes for stat in source}
    assert sum(run.size_bytes for run in runs) == sum(sizes[path] for path in same)


def test_a_tree_without_changes_goes_by_in_runs() -> None:
    source = [file(f"{number:04d}", 2) for number in range(700)]
    found = [written(stat) for stat in source]
    ends = stretches(source, 1_000, source_row), stretches(listed(found), 1_000, sink_row)
    items = [item for item in skim(*ends, seen(found, 10_000), "", LARGEST) if item is not None]
    assert [item.entry_count for item in items if isinstance(item, Same)] == [256, 256, 188]
    assert isinstance(last := items[-1], Same) and (last.path, last.size_bytes) == ("0699", 376)


@pytest.mark.parametrize(
    "change",
    [
        {"size_bytes": 2},
        {"mtime_ms": 6_000},
        {"version": "other"},
    ],
)
def test_an_object_that_looks_otherwise_is_not_known(change: dict[str, int]) -> None:
    found = replace(written(file("a")), **change)  # type: ignore[arg-type]
    (pair,) = skimmed([file("a")], [found], [written(file("a"))])
    assert isinstance(pair, Pair) and pair.found is not None and pair.found.attributes is None


@pytest.mark.parametrize(
    "wanted", [replace(OWNER, owner="bob"), replace(OWNER, group="bob"), replace(OWNER, permissions=0o600)]
)
def test_a_change_of_attributes_alone_begins_with_a_question(wanted: Attributes) -> None:
    (pair,) = skimmed([file("a", attributes=wanted)], [written(file("a"))], [written(file("a"))])
    assert isinstance(pair, Pair) and needs_attributes(pair)


def test_a_file_that_was_written_anew_is_copied_without_a_question() -> None:
    source = file("a", attributes=replace(OWNER, mtime_ms=1_001))
    (pair,) = skimmed([source], [written(file("a"))], [written(file("a"))])
    assert isinstance(pair, Pair) and pair.found is not None and not needs_attributes(pair)
    assert (pair.found.attributes, pair.found.settled) == (OWNER, True), "it is carried on"


def test_listings_out_of_order_are_refused() -> None:
    for source, found in (("ba", "ab"), ("ab", "ba"), ("aa", "ab")):
        with pytest.raises(BlockferryError) as caught:
            skimmed([file(path) for path in source], [written(file(path)) for path in found], [written(file("a"))], 1)
        assert caught.value.reason == "LIST_UNORDERED"
