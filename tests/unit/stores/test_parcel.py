"""Values come out of a parcel as they went in, small and whole."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hypothesis import given
from hypothesis import strategies as st

from stores.base import Attributes, Condition, Kind, Stat
from stores.checksum import Algorithm, Checksum
from stores.parcel import packed, rebuilt_by_fields, unpacked

_CHECKSUMS = st.builds(Checksum, st.sampled_from(Algorithm), st.integers(0, (1 << 32) - 1))
_STATS = st.builds(
    Stat,
    path=st.text(),
    kind=st.sampled_from(Kind),
    size_bytes=st.integers(0),
    mtime_ms=st.integers(),
    attributes=st.none() | st.builds(Attributes, st.text(), st.text(), st.integers(), st.integers(), st.integers()),
    version=st.text(),
    layout=st.binary(),
    condition=st.sampled_from(Condition),
    checksum=st.none() | _CHECKSUMS,
    keeps_attributes=st.booleans(),
)


@rebuilt_by_fields
@dataclass(frozen=True, slots=True)
class Lone:
    """One field."""

    field: tuple[int, ...]


@given(_STATS)
def test_every_field_arrives(stat: Stat) -> None:
    found = unpacked(packed(stat))
    assert isinstance(found, Stat)
    assert [getattr(found, field.name) for field in fields(found)] == [
        getattr(stat, field.name) for field in fields(stat)
    ]


def test_a_single_field_arrives_whole() -> None:
    assert unpacked(packed(Lone((1, 2)))) == Lone((1, 2))


def test_any_pickle_is_a_call_of_the_constructor() -> None:
    checksum = Checksum(Algorithm.CRC32C, 7)
    assert checksum.__reduce__() == (Checksum, (Algorithm.CRC32C, 7))
