"""A dataclass is one parameter of a command, and typer sees its fields as options; twice in a command with a prefix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from typer.testing import CliRunner

from blockferry.cli.groups import Group, grouped


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Paint:
    colour: Annotated[Colour | None, typer.Option(help="What it looks like.")] = None
    coat_count: Annotated[int, typer.Option(help="How thick it is.", min=1)] = 2


@dataclass(frozen=True, slots=True)
class Wall:
    name: str
    inside: Paint
    outside: Paint
    dry: bool


PAINTED: list[Wall] = []
app = typer.Typer()


@app.command()
@grouped
def paint(
    *,
    name: Annotated[str, typer.Argument()],
    inside: Annotated[Paint, Group("Paint")],
    outside: Annotated[Paint, Group("Paint outside", "outer", "of the outside.")],
    dry: bool = False,
) -> None:
    """Paints a wall."""
    PAINTED.append(Wall(name, inside, outside, dry))


def painted(*arguments: str) -> Wall:
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 0, found.output
    return PAINTED.pop()


def test_fields_are_options_with_their_defaults() -> None:
    assert painted("north") == Wall("north", Paint(), Paint(), False)
    assert painted("north", "--colour", "blue", "--dry") == Wall("north", Paint(Colour.BLUE), Paint(), True)


def test_a_prefix_tells_two_groups_of_a_kind_apart() -> None:
    wall = painted("--outer-coat-count", "5", "north", "--coat-count", "3", "--outer-colour", "red")
    assert wall == Wall("north", Paint(None, 3), Paint(Colour.RED, 5), False)


def test_the_help_has_a_headline_for_each_group() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).output
    inside, outside = shown[shown.index(" Paint ") :].split(" Paint outside ")
    assert "Paints a wall." in shown
    assert "How thick it is." in inside
    assert "--coat-count of the outside." in outside


def test_what_typer_checks_is_still_checked() -> None:
    for wrong in (("--coat-count", "0"), ("--outer-coat-count", "0"), ("--colour", "green")):
        found = CliRunner().invoke(app, ["north", *wrong])
        assert found.exit_code == 2
        assert wrong[0] in found.output
