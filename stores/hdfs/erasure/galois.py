"""Arithmetic in GF(256), the field of Hadoop's erasure codes, and matrices over it. PURE.

Numbers are bytes: polynomials over GF(2) modulo x^8 + x^4 + x^3 + x^2 + 1 (GaloisField.java, RSUtil.java and GF256.java
of Hadoop 3.4.2: 285). Addition is XOR. 2 is a primitive element: its powers are all numbers but 0.
"""

from __future__ import annotations

POLYNOMIAL = 0x11D

Row = tuple[int, ...]
Matrix = tuple[Row, ...]


def _powers() -> tuple[int, ...]:
    """Returns 2^0 to 2^509: twice round, so that two logarithms can be added without a modulus."""
    powers = [1]
    while len(powers) < 510:
        double = powers[-1] << 1
        powers.append(double ^ POLYNOMIAL if double > 0xFF else double)
    return tuple(powers)


_POWERS = _powers()
_LOGARITHMS = {power: exponent for exponent, power in enumerate(_POWERS[:255])}


def multiply(first: int, second: int) -> int:
    """Returns the product of two numbers."""
    if not first or not second:
        return 0
    return _POWERS[_LOGARITHMS[first] + _LOGARITHMS[second]]


def inverse(number: int) -> int:
    """Returns what gives 1 when it is multiplied with `number`. Raises ZeroDivisionError for 0."""
    if not number:
        raise ZeroDivisionError("0 has no inverse")
    return _POWERS[255 - _LOGARITHMS[number]]


def power_of_two(exponent: int) -> int:
    """Returns the primitive element to the power of `exponent`, which is not negative."""
    return _POWERS[exponent % 255]


def product(first: Matrix, second: Matrix) -> Matrix:
    """Returns the product of two matrices whose sizes match."""
    columns = tuple(zip(*second, strict=True))
    return tuple(tuple(_dot(row, column) for column in columns) for row in first)


def _dot(row: Row, column: Row) -> int:
    total = 0
    for first, second in zip(row, column, strict=True):
        total ^= multiply(first, second)
    return total


def inverted(matrix: Matrix) -> Matrix:
    """Returns the inverse of a square matrix, by Gauss and Jordan. Raises ValueError where there is none."""
    size = len(matrix)
    rows = [list(row) + [int(place == at) for at in range(size)] for place, row in enumerate(matrix)]
    for place in range(size):
        pivot = next((at for at in range(place, size) if rows[at][place]), None)
        if pivot is None:
            raise ValueError("the matrix has no inverse")
        rows[place], rows[pivot] = rows[pivot], rows[place]
        scale = inverse(rows[place][place])
        rows[place] = [multiply(scale, number) for number in rows[place]]
        for at in range(size):
            if at != place and (factor := rows[at][place]):
                rows[at] = [have ^ multiply(factor, more) for have, more in zip(rows[at], rows[place], strict=True)]
    return tuple(tuple(row[size:]) for row in rows)
