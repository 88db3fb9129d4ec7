"""Sizes and durations as people write and read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.cli.sizes import parse_size, show_duration, show_size
from blockferry.errors import BlockferryError


@pytest.mark.parametrize(
    ("text", "size"),
    [("5", 5), ("5B", 5), ("64MiB", 64 << 20), ("1.5 GiB", 3 << 29), ("2kib", 2048), ("1TiB", 1 << 40)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "5MB", "-1", "1,5GiB", "5 5"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(BlockferryError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 29, "1.5 GiB"), (5 << 50, "5120.0 TiB")]
)
def test_sizes_are_shown(size: int, text: str) -> None:
    assert show_size(size) == text


@given(st.integers(0, 1 << 60))
def test_every_size_is_shown_with_a_unit(size: int) -> None:
    assert show_size(size).split()[1] in {"B", "KiB", "MiB", "GiB", "TiB"}


@pytest.mark.parametrize(("seconds", "text"), [(4.21, "4.2 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")])
def test_durations_are_shown(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text
