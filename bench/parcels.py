"""CPU of sending plan entries with their receipts to another process and reading them there, per file.

Three ways in turns: cloudpickle as Ray does it for objects, without and with `rebuilt_by_fields`, and parcels.

    .venv/bin/python -m bench.parcels
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from ray import cloudpickle

from ledger.records import Action, PlanEntry, Receipt, Why
from stores.base import Attributes, Kind, Stat
from stores.checksum import Algorithm, Checksum
from stores.parcel import packed, unpacked
from verifier.expect import Question

FILE_COUNT = 1000
ROUNDS = 9
_HOT = (Attributes, Checksum, PlanEntry, Question, Receipt, Stat)


def question(number: int) -> Question:
    """Returns what the verifier is asked about a file of one block."""
    path, version = f"warehouse/table/part-{number:05}", f"{number:016x}"
    attributes = Attributes("etl", "analysts", 0o640, 1_700_000_000_000 + number, 1_700_000_100_000)
    source = Stat(path, Kind.FILE, 4096, attributes.mtime_ms, attributes, version)
    checksum = Checksum(Algorithm.CRC32C, number)
    receipt = Receipt(path, Action.COPY, 4096, f"{number:032x}", "", checksum, True, version, 1, 1)
    return Question(PlanEntry(path, Action.COPY, Why.NEW, source), receipt)


@contextmanager
def by_dataclasses() -> Iterator[None]:
    """Takes away, for a while, what `rebuilt_by_fields` has set."""
    kept = [(kind, kind.__reduce__) for kind in _HOT]
    for kind in _HOT:
        kind.__reduce__ = object.__reduce__  # type: ignore[method-assign]
    try:
        yield
    finally:
        for kind, reduce in kept:
            kind.__reduce__ = reduce  # type: ignore[method-assign]


def cpu_us(send: Callable[[object], bytes], receive: Callable[[bytes], object], value: object) -> float:
    """Returns microseconds a file."""
    begin_s = time.process_time()
    receive(send(value))
    return (time.process_time() - begin_s) / FILE_COUNT * 1e6


def main() -> None:
    """Prints the table."""
    questions = tuple(map(question, range(FILE_COUNT)))
    found: dict[str, list[float]] = {"cloudpickle": [], "cloudpickle, by fields": [], "parcel": []}
    for _ in range(ROUNDS):
        with by_dataclasses():
            found["cloudpickle"].append(cpu_us(cloudpickle.dumps, pickle.loads, questions))
        found["cloudpickle, by fields"].append(cpu_us(cloudpickle.dumps, pickle.loads, questions))
        found["parcel"].append(cpu_us(packed, unpacked, questions))
    for way, times in found.items():
        print(f"{way:24} {median(times):5.1f} CPU us a file ({min(times):.1f} to {max(times):.1f})")


if __name__ == "__main__":
    main()
