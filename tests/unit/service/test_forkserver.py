"""How a forked process ends: as `sys.exit(main())` would."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from service.forkserver import call


def wrong_use() -> int:
    sys.exit(2)


@pytest.mark.parametrize(
    ("main", "code", "said"),
    [
        (lambda: None, 0, ""),
        (lambda: 3, 3, ""),
        (lambda: "no luck", 1, "no luck\n"),
        (wrong_use, 2, ""),
    ],
)
def test_what_main_returns_is_the_exit_code(
    main: Callable[[], str | int | None], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(main) == code
    assert capsys.readouterr().err == said


def test_an_exception_is_told_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise ValueError("no luck")

    assert call(main) == 1
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("ValueError: no luck\n")
