"""PURE: frozen dataclasses as JSON values, and back. Knows the shapes that the records of this room are made of:
numbers, strings, booleans, None, StrEnums, other dataclasses, and tuples of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


def to_plain(value: object) -> Plain:
    """Returns a value as JSON can hold it. A dataclass becomes an object of its fields, a tuple a list."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, tuple):
        return [to_plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
    raise TypeError(f"{type(value).__name__} has no plain form")


def from_plain(kind: type[T], plain: object) -> T:
    """Returns the dataclass that `to_plain` was given. Fields that are absent take their defaults, unknown ones are
    dropped: a row of an older or newer version can be read."""
    return cast(T, _value(kind, plain))


@cache
def _hints(kind: type) -> dict[str, object]:
    return get_type_hints(kind)


def _value(kind: object, plain: object) -> object:
    if get_origin(kind) in (Union, UnionType):
        return None if plain is None else _value(next(one for one in get_args(kind) if one is not NoneType), plain)
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind), cast(Sequence[object], plain))
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, cast(Mapping[str, object], plain))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(cast(str, plain))
    return plain


def _tuple(kinds: tuple[object, ...], plain: Sequence[object]) -> tuple[object, ...]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_value(kinds[0], one) for one in plain)
    return tuple(_value(kind, one) for kind, one in zip(kinds, plain, strict=True))


def _dataclass(kind: type, plain: Mapping[str, object]) -> object:
    hints = _hints(kind)
    known = {one.name: _value(hints[one.name], plain[one.name]) for one in fields(kind) if one.name in plain}
    missing = [one.name for one in fields(kind) if one.name not in plain and not _has_default(one)]
    if missing:
        raise ValueError(f"{kind.__name__} lacks {', '.join(missing)}")
    return kind(**known)


def _has_default(one: Field[object]) -> bool:
    return one.default is not MISSING or one.default_factory is not MISSING
