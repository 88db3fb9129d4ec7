"""What was found out about a destination, from ledger to ledger."""

from pathlib import Path

import pytest

from ledger.traits import Traits, read_traits, write_traits


@pytest.mark.parametrize("lists_changes", [True, False])
def test_the_first_ledger_that_knows_is_believed(tmp_path: Path, lists_changes: bool) -> None:
    write_traits(str(tmp_path / "a"), Traits(lists_changes))
    write_traits(str(tmp_path / "b"), Traits(not lists_changes))
    assert read_traits([str(tmp_path / name) for name in ("none", "a", "b")]) == Traits(lists_changes)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"lists_changes"'])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, text: str) -> None:
    (tmp_path / "store.json").write_text(text)
    assert read_traits([str(tmp_path), "ftp://nobody/knows"]) is None


def test_what_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    write_traits(str(tmp_path / "file"), Traits(True))
