"""The yard in which the mover's tests play."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.memory import MemoryStore, forget
from tests.support.yard import BLOCK, SMALL_LIMITS, Yard


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """An empty yard of this test's own."""
    names = f"source-{uuid.uuid4().hex}", f"sink-{uuid.uuid4().hex}"
    source, sink = MemoryStore(names[0], BLOCK), MemoryStore(names[1], features=SMALL_LIMITS)
    yield Yard(tmp_path / "ledger", source, sink)
    for name in names:
        forget(name)
