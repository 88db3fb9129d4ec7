"""Erasure codes of HDFS: which parity belongs to which data, and lost units rebuilt from others. PURE, numpy only.

A code is a matrix of one row per parity unit: byte i of a parity unit is the row's sum over byte i of the data units.
Units are numbered as in a block group: data from 0 on, then parity. Facts from Hadoop 3.4.2: RSUtil.genCauchyMatrix,
RSLegacyRawEncoder, XORRawEncoder; proved on what these wrote.

Speed: numpy has no look-up of bytes in registers, so a table costs 0.5 CPU s per GiB that is multiplied. Horner's
scheme over the bits of the coefficients needs seven doublings per unit that is rebuilt, whatever the number of its
sources, and XORs, all at the speed of the processor's cache. CPU s per GiB of a file of which one data unit is lost:
0.53, 0.35, 0.31 with 3, 6 and 10 data units, and 0.55, 0.52, 0.60 by tables of 64 Ki entries for pairs of bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stores.hdfs.erasure import galois
from stores.hdfs.erasure.galois import Matrix, Row

Bytes = NDArray[np.uint8]

CODECS = ("rs", "rs-legacy", "xor")
_SLAB_BYTES = 128 << 10  # three of them fit in a processor's second cache; half as many cost a tenth more in calls
_HIGH_BITS = np.uint64(0x8080808080808080)
_REDUCTION = np.uint64(galois.POLYNOMIAL & 0xFF)
_SEVEN = np.uint64(7)


@lru_cache(maxsize=16)
def parity_matrix(codec: str, data_units: int, parity_units: int) -> Matrix:
    """Returns a code's matrix: `parity_units` rows of `data_units` coefficients.

    Raises:
        ValueError: the codec is unknown, or there is none of this size.
    """
    if data_units < 1 or parity_units < 1 or data_units + parity_units > 255:
        raise ValueError(f"no code has {data_units} data units and {parity_units} parity units")
    match codec:
        case "rs":
            rows = range(data_units, data_units + parity_units)
            return tuple(tuple(galois.inverse(row ^ column) for column in range(data_units)) for row in rows)
        case "rs-legacy":
            return _legacy_matrix(data_units, parity_units)
        case "xor" if parity_units == 1:
            return ((1,) * data_units,)
    raise ValueError(f"the codec {codec!r} with {data_units} data units and {parity_units} parity units is unknown")


def _legacy_matrix(data_units: int, parity_units: int) -> Matrix:
    """Returns the remainders of x^parity_units, x^(parity_units + 1), ... by the product of all (x + 2^i): the parity
    units are the coefficients of x^0, x^1, ..., the data units those that follow."""
    generator = [1]  # the coefficient of x^0 first
    for exponent in range(parity_units):
        root = galois.power_of_two(exponent)
        generator = [
            galois.multiply(root, same) ^ lower for same, lower in zip([*generator, 0], [0, *generator], strict=True)
        ]
    remainder = [0] * (parity_units - 1) + [1]  # of x^(parity_units - 1)
    columns: list[Row] = []
    for _ in range(data_units):
        top = remainder[-1]
        remainder = [
            lower ^ galois.multiply(top, own) for lower, own in zip([0, *remainder[:-1]], generator[:-1], strict=True)
        ]
        columns.append(tuple(remainder))
    return tuple(zip(*columns, strict=True))


@lru_cache(maxsize=256)
def rebuilding_rows(matrix: Matrix, sources: tuple[int, ...], lost: tuple[int, ...]) -> Matrix:
    """Returns how each lost unit follows from the sources: one row of coefficients per lost unit.

    Args:
        matrix: of the code.
        sources: as many units as there are data units, all different.
        lost: any units.

    Raises:
        ValueError: the sources do not determine the others.
    """
    data_units = len(matrix[0])
    if len(set(sources)) != data_units:
        raise ValueError(f"{data_units} different sources are needed, not {sources}")
    data = tuple(tuple(int(row == column) for column in range(data_units)) for row in range(data_units))
    every = data + matrix
    from_sources = galois.inverted(tuple(every[unit] for unit in sources))
    return galois.product(tuple(every[unit] for unit in lost), from_sources)


def combine_units(row: Row, sources: Sequence[Bytes], target: Bytes) -> None:
    """Fills `target` with the sum of the sources, each multiplied by its coefficient in `row`.

    All have the same length, which may be any; `target` is no source. Memory: 256 KiB.
    """
    slab_bytes = min(_SLAB_BYTES, -(-len(target) // 8) * 8)
    total, carry = np.empty(slab_bytes, np.uint8), np.empty(slab_bytes, np.uint8)
    bits = range(max(row).bit_length() - 1, -1, -1)
    by_bit = {bit: [source for source, factor in zip(sources, row, strict=True) if factor >> bit & 1] for bit in bits}
    for begin in range(0, len(target), _SLAB_BYTES):
        end = min(begin + _SLAB_BYTES, len(target))
        part = total[: end - begin]
        total.fill(0)
        for bit in bits:
            if bit != bits[0]:
                _double(total, carry)
            for source in by_bit[bit]:
                np.bitwise_xor(part, source[begin:end], out=part)
        target[begin:end] = part


def _double(numbers: Bytes, carry: Bytes) -> None:
    """Multiplies each number by 2. `carry` is scratch; both are aligned, and their length is a multiple of 8."""
    words, carries = numbers.view(np.uint64), carry.view(np.uint64)
    np.bitwise_and(words, _HIGH_BITS, out=carries)
    np.right_shift(carries, _SEVEN, out=carries)
    np.multiply(carries, _REDUCTION, out=carries)  # a byte is 1 or 0, so no product runs into its neighbour
    np.add(numbers, numbers, out=numbers)
    np.bitwise_xor(words, carries, out=words)
