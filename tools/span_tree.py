"""Prints the spans of a trace file (JSON lines, as --trace-file writes them) as a tree. Reads one file, writes nothing.

python tools/span_tree.py FILE [TRACE_ID]      without an id: the trace with the most spans
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

_SHOWN = 3  # of siblings with one name; more are only counted
_HIDDEN = ("telemetry.", "service.", "code.", "thread.", "rpc.system", "rpc.method", "rpc.service")


@dataclass(frozen=True, slots=True)
class Span:
    """One ended span. parent is empty at the root; times in seconds since 1970."""

    trace: str
    id: str
    parent: str
    name: str
    service: str
    begin_s: float
    end_s: float
    failed: bool
    attributes: tuple[tuple[str, str], ...]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def read_spans(lines: Iterable[str]) -> tuple[Span, ...]:
    """Returns the spans of a file's lines; a line that is cut short (a process was killed) is left out."""
    spans: list[Span] = []
    for line in lines:
        try:
            raw = json.loads(line)
        except json.JSONDecodeError:
            continue
        spans.append(
            Span(
                trace=raw["context"]["trace_id"],
                id=raw["context"]["span_id"],
                parent=raw["parent_id"] or "",
                name=raw["name"],
                service=raw["resource"]["attributes"].get("service.name", ""),
                begin_s=_seconds(raw["start_time"]),
                end_s=_seconds(raw["end_time"]),
                failed=raw["status"]["status_code"] == "ERROR",
                attributes=tuple((key, str(value)) for key, value in (raw["attributes"] or {}).items()),
            )
        )
    return tuple(spans)


def largest_trace(spans: Sequence[Span]) -> str:
    """Returns the id of the trace with the most spans."""
    return Counter(span.trace for span in spans).most_common(1)[0][0]


def tree_lines(spans: Iterable[Span], trace: str) -> Iterator[str]:
    """Yields one line per span, children below their parent in order of time, with seconds, service and attributes."""
    mine = {span.id: span for span in spans if span.trace == trace}
    children: dict[str, list[Span]] = defaultdict(list)
    for span in sorted(mine.values(), key=lambda span: span.begin_s):
        children[span.parent if span.parent in mine else ""].append(span)
    yield from _level(children[""], children, 0)


def _level(siblings: Sequence[Span], children: Mapping[str, Sequence[Span]], depth: int) -> Iterator[str]:
    total = Counter(span.name for span in siblings)
    seen: Counter[str] = Counter()
    for span in siblings:
        seen[span.name] += 1
        if seen[span.name] <= _SHOWN or span.failed:
            yield _line(span, depth)
            yield from _level(children.get(span.id, ()), children, depth + 1)
        elif seen[span.name] == total[span.name]:
            yield f"{'':>26}  {'  ' * depth}... {total[span.name]} x {span.name} in all"


def _line(span: Span, depth: int) -> str:
    notes = " ".join(f"{key}={value}" for key, value in span.attributes if not key.startswith(_HIDDEN))
    mark = " FAILED" if span.failed else ""
    head = f"{span.end_s - span.begin_s:>9.3f} s {span.service.removeprefix('blockferry-')[:14]:<14}"
    return f"{head} {'  ' * depth}{span.name}{mark}  {notes}".rstrip()[:200]


def main(arguments: Sequence[str]) -> None:
    """Prints one trace of a file."""
    spans = read_spans(Path(arguments[0]).read_text().splitlines())
    trace = arguments[1] if len(arguments) > 1 else largest_trace(spans)
    print(f"trace {trace}")
    print("\n".join(tree_lines(spans, trace)))


if __name__ == "__main__":
    main(sys.argv[1:])
