"""What the server counts. For several threads at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path


class Counters:
    """Requests by operation, bytes of bodies, claims."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()

    def request(self, operation: str) -> None:
        """Counts a request."""
        with self._lock:
            self._requests[operation] += 1

    def add(self, name: str, number: int = 1) -> None:
        """Adds to another counter."""
        with self._lock:
            self._numbers[name] += number

    def reset(self) -> None:
        """Begins from 0; the peak of memory begins from what is used now, where the kernel allows it."""
        with self._lock:
            self._requests.clear()
            self._numbers.clear()
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return

    def values(self) -> dict[str, object]:
        """Returns all counters. `cpu_s` is the process's since its start (user and system)."""
        with self._lock:
            names = (
                "received_bytes",
                "claims_checked",
                "claims_refused",
                "claims_unchecked",
                "connections",
                "refusals",
            )
            return {
                "requests": dict(sorted(self._requests.items())),
                **{name: self._numbers[name] for name in names},
                "peak_memory_bytes": _peak_bytes(),
                "cpu_s": time.process_time(),
            }


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
