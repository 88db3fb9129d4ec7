"""The model: queues keep their order and their work, and the whole is what the busiest part allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.model import SHARD_FILES, Clock, Costs, Plant, Station, simulated, table

WIDE = Plant(actors=4, provers=4, moving=8, verifying=8)


def test_one_server_does_one_thing_after_the_other() -> None:
    clock, station, seen = Clock(), Station("one", 1), list[tuple[str, float]]()
    for name, work_s in (("a", 2.0), ("b", 1.0), ("c", 0.5)):
        station.ask(clock, work_s, lambda name=name: seen.append((name, clock.now_s)))  # type: ignore[misc]
    clock.run()
    assert seen == [("a", 2.0), ("b", 3.0), ("c", 3.5)]
    assert station.busy_s == 3.5


def test_two_servers_work_at_the_same_time() -> None:
    clock, station = Clock(), Station("two", 2)
    for _ in range(4):
        station.ask(clock, 1.0, lambda: None)
    clock.run()
    assert (clock.now_s, station.busy_s) == (2.0, 4.0)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=30), st.integers(1, 5))
def test_no_work_is_lost_and_no_server_works_twice(works: list[float], servers: int) -> None:
    clock, station, done = Clock(), Station("some", servers), list[int]()
    for number, work_s in enumerate(works):
        station.ask(clock, work_s, lambda number=number: done.append(number))  # type: ignore[misc]
    clock.run()
    assert sorted(done) == list(range(len(works)))
    assert station.busy_s == pytest.approx(sum(works))
    assert max(max(works), sum(works) / servers) <= clock.now_s * (1 + 1e-9)
    assert clock.now_s <= sum(works) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("costs", "files_per_s", "limit"),
    [
        (Costs(0.1, 0, 0, 0, 0, 0, 0, 0), 10_000, "scanner"),
        (Costs(0, 0, 0.2, 0, 0, 0, 0, 0), 5_000, "mover"),
        (Costs(0, 0, 0, 1.0, 0, 0, 0, 0), 4_000, "mover's actors"),
        (Costs(0, 0, 0, 0, 0, 2.0, 0, 0), 2_000, "verifier's actors"),
    ],
)
def test_the_only_part_that_costs_is_the_limit(costs: Costs, files_per_s: float, limit: str) -> None:
    outcome = simulated(WIDE, costs, shards=50)
    assert outcome.files_per_s == pytest.approx(files_per_s, rel=0.05)
    assert outcome.limit == limit


def test_a_store_that_takes_so_many_puts_is_the_limit() -> None:
    outcome = simulated(Plant(4, 4, 8, 8, store_puts_per_s=100.0), Costs(), shards=5)
    assert outcome.files_per_s == pytest.approx(100.0, rel=0.05)
    assert outcome.limit == "store"


def test_more_actors_help_until_something_else_is_the_limit() -> None:
    rates = [simulated(Plant(actors, actors, 32, 32), Costs(), shards=60).files_per_s for actors in (1, 2, 4, 100)]
    assert rates[1] == pytest.approx(2 * rates[0], rel=0.05)
    assert rates[2] == pytest.approx(4 * rates[0], rel=0.05)
    assert rates[3] < 12 * rates[0]


def test_too_few_shards_at_once_leave_actors_idle() -> None:
    few, many = (simulated(Plant(100, 100, shards, 1), Costs(0, 0, 0, 1.0, 0, 0, 0, 0), 60) for shards in (1, 20))
    assert few.files_per_s < many.files_per_s / 2


def test_the_table_says_hours_and_the_limit() -> None:
    outcome = simulated(WIDE, Costs(0, 0, 0, 1.0, 0, 0, 0, 0), shards=50)
    line = table([(WIDE, outcome)], files=4_000 * 3600).splitlines()[-1]
    assert line.startswith("| 4 | 4 | 8 | ")
    assert "| mover's actors | mover's actors 100%" in line or "| mover's actors | mover's actors 9" in line
    assert SHARD_FILES == 2_000
