"""Options that belong together, as one parameter of a command: a dataclass, whose fields are options of the same names.

@app.command()
@grouped
def copy(*, hdfs: Annotated[HdfsOptions, Group("HDFS")]) -> None: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, fields
from functools import wraps
from typing import Annotated, get_args, get_type_hints

from typer.models import OptionInfo


@dataclass(frozen=True, slots=True)
class Group:
    """Marks a parameter whose dataclass typer shall see as options.

    Attributes:
        headline: of these options in the help.
        prefix: goes before every option, for a dataclass that a command has twice: `dest` makes `--dest-hdfs-conf`.
        whose: with a prefix, what the help says behind the name of the option without it.
    """

    headline: str
    prefix: str = ""
    whose: str = ""


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Returns the command as typer shall see it: with an option for each field of its groups. Every field has a default
    and is annotated with its `typer.Option`."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: found for name, hint in hints.items() if (found := _fields_of(hint)) is not None}

    @wraps(command)
    def called(**given: object) -> None:
        made = {name: group.made(given) for name, group in groups.items()}
        command(**given, **made)

    parameters = _parameters(inspect.signature(command), hints, groups)
    called.__signature__ = inspect.Signature(tuple(parameters))  # type: ignore[attr-defined]  # what inspect looks at
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def _fields_of(hint: object) -> _Fields | None:
    kind, *marks = get_args(hint) or (None,)
    return next((_Fields(kind, mark) for mark in marks if isinstance(mark, Group)), None)


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of a group's dataclass, by the names of their options."""

    kind: type
    group: Group

    def option_name(self, field: str) -> str:
        return f"{self.group.prefix}_{field}" if self.group.prefix else field

    def parameters(self) -> Iterator[inspect.Parameter]:
        hints = get_type_hints(self.kind, include_extras=True)
        for field in fields(self.kind):
            kind, option = get_args(hints[field.name])
            yield inspect.Parameter(
                self.option_name(field.name),
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=Annotated[kind, self._placed(option, field.name)],
            )

    def made(self, given: dict[str, object]) -> object:
        """Takes the values of this group away from `given` and returns them as one."""
        return self.kind(**{field.name: given.pop(self.option_name(field.name)) for field in fields(self.kind)})

    def _placed(self, option: OptionInfo, field: str) -> OptionInfo:
        placed = copy(option)
        placed.rich_help_panel = self.group.headline
        if self.group.prefix:
            placed.help = f"--{field.replace('_', '-')} {self.group.whose}"
        return placed


def _parameters(
    signature: inspect.Signature, hints: Mapping[str, object], groups: Mapping[str, _Fields]
) -> Iterator[inspect.Parameter]:
    for name, parameter in signature.parameters.items():
        if name in groups:
            yield from groups[name].parameters()
        else:
            yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
