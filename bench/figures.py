"""PURE: from rounds to what is printed: medians, spread, ratios to blockferry."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from bench.peers.contract import PeerRun
from bench.workloads import GIB, Unit

MIB = 1 << 20
_NOTHING = "-"
_REASON = 400


@dataclass(frozen=True, slots=True)
class Observation:
    """One run of a peer, and what the servers did meanwhile.

    Attributes:
        servers_cpu_s: by server: NameNode, DataNode, S3.
        hdfs: counters of the daemons: bytes read from the DataNode, its operations, calls of the NameNode. A read that
            the client breaks off adds no bytes: those of rclone's pieces of a large file are mostly missing.
        sink: counters of the target, where it counts: bytes and requests.
        operations: the requests by name; in the JSON only.
    """

    run: PeerRun
    servers_cpu_s: Mapping[str, float]
    hdfs: Mapping[str, int] = field(default_factory=dict)
    sink: Mapping[str, int] = field(default_factory=dict)
    operations: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A peer's rounds of one workload. reasons: why it did not run, or not in every round."""

    peer: str
    seen: tuple[Observation, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """All peers of one workload.

    file_count and size_bytes are what one run copies, compares or verifies. start_cpu_s: by peer, what a copy of one
    tiny file costs, where that was measured in the same run.
    """

    workload: str
    title: str
    unit: Unit
    file_count: int
    size_bytes: int
    rows: tuple[Row, ...]
    start_cpu_s: Mapping[str, float] = field(default_factory=dict)

    def above_start(self, row: Row) -> float | None:
        """Returns the median CPU by unit without the peer's start; None where that was not measured."""
        if not row.seen or row.peer not in self.start_cpu_s:
            return None
        return (_median(row, cpu_s) - self.start_cpu_s[row.peer]) / self.amount()

    def amount(self) -> float:
        """Returns what CPU is divided by: GiB, or thousands of files (so that seconds become milliseconds)."""
        return self.size_bytes / GIB if self.unit is Unit.GIB else self.file_count / 1000


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and extremes."""

    median: float
    least: float
    most: float

    def text(self, digits: int) -> str:
        """Returns `median (least-most)`."""
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}-{self.most:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Returns the spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def of_row(row: Row, value: Callable[[Observation], float]) -> Spread | None:
    """Returns the spread of a value over a row's rounds; None when it never ran."""
    return spread([value(one) for one in row.seen]) if row.seen else None


def ratio(row: Row, ours: Row | None, value: Callable[[Observation], float]) -> float | None:
    """Returns the row's median over blockferry's; None when one of them never ran or blockferry's is 0."""
    if ours is None or not row.seen or not ours.seen:
        return None
    base = statistics.median(value(one) for one in ours.seen)
    return statistics.median(value(one) for one in row.seen) / base if base else None


def wall_s(one: Observation) -> float:
    """Returns the seconds of a run."""
    return one.run.wall_s


def cpu_s(one: Observation) -> float:
    """Returns the CPU seconds of a run."""
    return one.run.cpu_s


def table(result: Result, ours: str) -> str:
    """Returns a workload as Markdown: a table of the peers, one of the servers, and what did not run."""
    lines = [
        f"### {result.workload}: {result.title}",
        "",
        f"{result.file_count:,} files, {result.size_bytes / GIB:.3f} GiB; medians (least-most) of "
        f"{max((len(row.seen) for row in result.rows), default=0)} rounds; x: as a multiple of {ours}",
        "",
        f"| peer | wall s | x | rate | {result.unit} | x | above start | peak MiB of one | of all |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_line(row, result, ours) for row in result.rows),
        "",
        *_servers(result),
        *(f"- {row.peer}: {_short(reason)}" for row in result.rows for reason in row.reasons),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _short(reason: str) -> str:
    """Returns a reason on one line, the end of a long one: there a log says what happened. The JSON has all of it."""
    words = " / ".join(reason.splitlines())
    return words if len(words) <= _REASON else f"{words[: _REASON // 4]} ... {words[-_REASON:]}"


def _line(row: Row, result: Result, ours: str) -> str:
    base = next((other for other in result.rows if other.peer == ours), None)
    wall, cpu = of_row(row, wall_s), of_row(row, lambda one: one.run.cpu_s / result.amount())
    if wall is None or cpu is None:
        return f"| {row.peer} | did not run: see below | | | | | | | |"
    peak = max(one.run.peak_bytes for one in row.seen) / MIB
    together = max(one.run.all_peak_bytes for one in row.seen) / MIB
    cells = (
        *(row.peer, wall.text(1), _figure(ratio(row, base, wall_s)), _rate(result, wall.median)),
        *(cpu.text(2), _figure(ratio(row, base, cpu_s)), _figure(result.above_start(row))),
        *(f"{peak:.0f}", f"{together:.0f}"),
    )
    return f"| {' | '.join(cells)} |"


def _figure(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2f}"


def _rate(result: Result, seconds: float) -> str:
    if result.unit is Unit.GIB:
        return f"{result.size_bytes / MIB / seconds:.0f} MiB/s"
    return f"{result.file_count / seconds:.0f} files/s"


def _servers(result: Result) -> list[str]:
    ran = [row for row in result.rows if row.seen]
    if not ran:
        return []
    cpu = {row.peer: _medians_by_name([one.servers_cpu_s for one in row.seen]) for row in ran}
    counts = {row.peer: _medians_by_name([{**one.hdfs, **one.sink} for one in row.seen]) for row in ran}
    servers, counted = (list(dict.fromkeys(name for row in of.values() for name in row)) for of in (cpu, counts))
    head = ("servers meanwhile", *(f"{name} {result.unit}" for name in servers), *counted)
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in ran:
        used = (f"{cpu[row.peer].get(name, 0) / result.amount():.2f}" for name in servers)
        seen = (f"{counts[row.peer].get(name, 0):,.0f}" for name in counted)
        lines.append(f"| {row.peer} | {' | '.join((*used, *seen))} |")
    return [*lines, ""]


def _medians_by_name(rounds: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    names = dict.fromkeys(name for one in rounds for name in one)
    return {name: statistics.median(one.get(name, 0) for one in rounds) for name in names}


def _median(row: Row, value: Callable[[Observation], float]) -> float:
    return statistics.median(value(one) for one in row.seen)


def as_json(result: Result, ours: str) -> dict[str, object]:
    """Returns a workload with every round and the medians."""
    base = next((row for row in result.rows if row.peer == ours), None)
    return {
        "workload": result.workload,
        "title": result.title,
        "unit": str(result.unit),
        "file_count": result.file_count,
        "size_bytes": result.size_bytes,
        "peers": [_row_json(row, base, result) for row in result.rows],
    }


def _row_json(row: Row, base: Row | None, result: Result) -> dict[str, object]:
    return {
        "peer": row.peer,
        "reasons": list(row.reasons),
        "medians": _medians(row, base, result) if row.seen else None,
        "rounds": [asdict(one) for one in row.seen],
    }


def _medians(row: Row, base: Row | None, result: Result) -> dict[str, float | None]:
    return {
        "wall_s": _median(row, wall_s),
        "cpu_s": _median(row, cpu_s),
        "cpu_per_unit": _median(row, cpu_s) / result.amount(),
        "cpu_per_unit_above_start": result.above_start(row),
        "wall_ratio": ratio(row, base, wall_s),
        "cpu_ratio": ratio(row, base, cpu_s),
    }
