"""Values on their way to another process of ours. PURE.

Ray pickles what it is given by cloudpickle, with a call of Python for each object; bytes it just copies. And a frozen
dataclass with slots is pickled by asking `dataclasses.fields` for each object. So hot values say that their fields are
their constructor's arguments, and calls are given to Ray as bytes: 18 instead of 52 us for a file's plan entry and
receipt, there and back (`bench/parcels.py`).
"""

from __future__ import annotations

import pickle
from dataclasses import fields
from operator import attrgetter
from typing import TypeVar

T = TypeVar("T", bound=type)


def rebuilt_by_fields(kind: T) -> T:
    """Makes a dataclass be pickled as a call of its constructor with all fields in order. For the line above
    `@dataclass`; of a subclass it would forget the class, so it is for classes without."""
    names = tuple(field.name for field in fields(kind))
    values = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
    kind.__reduce__ = lambda value: (kind, values(value))  # type: ignore[method-assign, assignment, misc]
    return kind


def packed(value: object) -> bytes:
    """Returns a value as bytes."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def unpacked(parcel: bytes) -> object:
    """Returns the value in bytes that `packed` made in a process of ours."""
    return pickle.loads(parcel)  # noqa: S301 - from our own process, over the same channel as Ray's own pickles
