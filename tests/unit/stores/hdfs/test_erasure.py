"""Parity is what Hadoop's own coders write, and any lost units follow from enough others."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stores.hdfs.erasure import galois
from stores.hdfs.erasure.codes import combine_units, parity_matrix, rebuilding_rows

# Written by RSRawEncoder, RSLegacyRawEncoder and XORRawEncoder of Hadoop 3.4.2 for the units of `data_unit`.
WRITTEN = {
    ("rs", 3, 2): (
        "84abb44885d9097ee87f009f224685b10cc8dc304641913d",
        "20a4b73c2c45debcb20254eb7500afa8001edeef9e04ee6f",
    ),
    ("rs", 6, 3): (
        "6155c8219b7950343ca8ccab300a60f82c813d4290eb0ec3",
        "682ee6a9d7c42abb5f4a594e920ae9c5c75a554c16aab893",
        "b77b9e9bb5f998fe04bd339bb58162e9e34bf88800dcfc5b",
    ),
    ("rs", 10, 4): (
        "a99752d4a987102260aa3b6f06121099869233344f829b73",
        "158312a6bd450aff405d0407611b037fcabded147b198b74",
        "4db5d443f91f3f872db5843022a358ed70c5abeadd5a6f0c",
        "97bfede7ff6d6507c2dcab03208c991aed1e05cfe7a3a7a8",
    ),
    ("rs", 2, 3): (
        "9ccf430ad8ffccb91f642b4a3b043f99ac44d84a2374fc99",
        "efd327f476e18292b3a76363811e9e5dc7706f8c95b9ba51",
        "49b001fd8aba6c65d326cac1cbef2571592a932ec3db6c7d",
    ),
    ("rs-legacy", 6, 3): (
        "abb1feda7e550e1fda0209f929baac9c3c9e5e0c8055f61d",
        "e5e9cb28182a6aa05045adc2f51e2ef2764cc1264595e1b5",
        "6d1060c4a1bbfdd501b78935c368e3ccb98ada8c52749e12",
    ),
    ("rs-legacy", 3, 2): (
        "ae6756bfb232533a9e036fd2c258972add2e7642a8a65ad4",
        "f257803d824e612c0a6ba1d8da5c6d64712e5050e8caf832",
    ),
    ("xor", 2, 1): ("3748453ec344b9facfb0adf6bb5ce1a267b895ae9394898a",),
    ("xor", 5, 1): ("2968114071c0f9a0c93871f0b1a059b009a8b1a0b1e01960",),
}
POLICIES = [("rs", 6, 3), ("rs", 3, 2), ("rs-legacy", 6, 3), ("xor", 2, 1), ("rs", 10, 4)]
Units = list[NDArray[np.uint8]]


def data_unit(unit: int) -> NDArray[np.uint8]:
    return np.array([(i * i * 7 + unit * 53 + i * unit * 3 + 1) & 0xFF for i in range(24)], np.uint8)


def encoded(codec: str, parity_units: int, data: Units) -> Units:
    """Returns all units of a group, data first."""
    units = list(data)
    for row in parity_matrix(codec, len(data), parity_units):
        units.append(np.empty_like(data[0]))
        combine_units(row, data, units[-1])
    return units


@pytest.mark.parametrize(("codec", "data_units", "parity_units"), list(WRITTEN))
def test_parity_is_what_hadoop_writes(codec: str, data_units: int, parity_units: int) -> None:
    units = encoded(codec, parity_units, [data_unit(unit) for unit in range(data_units)])
    assert tuple(unit.tobytes().hex() for unit in units[data_units:]) == WRITTEN[codec, data_units, parity_units]


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(POLICIES), st.randoms(use_true_random=False), st.data())
def test_any_lost_units_are_rebuilt(policy: tuple[str, int, int], source: random.Random, draw: st.DataObject) -> None:
    codec, data_units, parity_units = policy
    size = draw.draw(st.sampled_from([1, 7, 8, 9, 511, 4096, (128 << 10) - 1, (128 << 10) + 3]))
    data = [np.frombuffer(source.randbytes(size), np.uint8) for _ in range(data_units)]
    units = encoded(codec, parity_units, data)
    order = draw.draw(st.permutations(range(data_units + parity_units)))
    sources, lost = tuple(order[:data_units]), tuple(order[data_units:])
    for row, unit in zip(rebuilding_rows(parity_matrix(*policy), sources, lost), lost, strict=True):
        found = np.empty(size, np.uint8)
        combine_units(row, [units[source] for source in sources], found)
        assert found.tobytes() == units[unit].tobytes()


def test_every_choice_of_sources_determines_all_units() -> None:
    for policy in POLICIES[:4]:
        matrix = parity_matrix(*policy)
        count = policy[1] + policy[2]
        for bits in range(1 << count):
            sources = tuple(unit for unit in range(count) if bits >> unit & 1)
            if len(sources) == policy[1]:
                rows = rebuilding_rows(matrix, sources, sources)
                assert all(row[place] == 1 and sum(row) == 1 for place, row in enumerate(rows))


def test_unaligned_views_are_taken_as_they_are() -> None:
    memory = np.arange(3000, dtype=np.uint32).view(np.uint8)
    sources = [memory[1:4002], memory[4003:8004]]
    target = np.zeros(4004, np.uint8)[3:]
    combine_units((3, 0x80), sources, target)
    expected = [galois.multiply(3, int(a)) ^ galois.multiply(0x80, int(b)) for a, b in zip(*sources, strict=True)]
    assert target.tolist() == expected


@pytest.mark.parametrize(
    ("codec", "data_units", "parity_units"), [("hh-xor", 6, 3), ("xor", 2, 2), ("rs", 0, 2), ("rs", 200, 56)]
)
def test_unknown_codes_are_refused(codec: str, data_units: int, parity_units: int) -> None:
    with pytest.raises(ValueError):
        parity_matrix(codec, data_units, parity_units)


@pytest.mark.parametrize("sources", [(0, 1), (0, 1, 1), (0, 1, 2, 3)])
def test_too_few_or_too_many_sources_are_refused(sources: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="3 different sources"):
        rebuilding_rows(parity_matrix("rs", 3, 2), sources, (4,))


@given(st.integers(1, 255), st.integers(0, 255), st.integers(0, 255))
def test_the_field_is_a_field(first: int, second: int, third: int) -> None:
    assert galois.multiply(first, galois.inverse(first)) == 1
    assert galois.multiply(first, second ^ third) == galois.multiply(first, second) ^ galois.multiply(first, third)
    assert galois.multiply(first, second) == galois.multiply(second, first)


def test_what_has_no_inverse_says_so() -> None:
    with pytest.raises(ZeroDivisionError):
        galois.inverse(0)
    with pytest.raises(ValueError, match="no inverse"):
        galois.inverted(((1, 2), (1, 2)))
