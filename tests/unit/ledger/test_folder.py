"""A folder's files appear whole or not at all, and nobody is told its secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from blockferry.errors import BlockferryError
from ledger.folder import Folder, shown


def test_stream_that_breaks_off_leaves_the_older_file(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write("a/b", b"old")
    with pytest.raises(KeyError), folder.replacing("a/b") as stream:
        stream.write(b"new")
        raise KeyError
    assert folder.read("a/b").to_pybytes() == b"old"
    assert folder.names("a") == ("b",)
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_stream_takes_the_place_of_the_older_file_at_its_end(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write("a", b"old")
    with folder.replacing("a") as stream:
        stream.write(b"new")
        assert folder.read("a").to_pybytes() == b"old"
    assert folder.read("a").to_pybytes() == b"new"


def test_name_that_ends_like_an_archive_is_not_unpacked(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with folder.replacing("a.gz") as stream:
        stream.write(b"plain")
    assert (tmp_path / "a.gz").read_bytes() == b"plain"
    assert folder.read("a.gz").to_pybytes() == b"plain"


def test_deleting_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    Folder(str(tmp_path)).delete("nothing")


def test_folder_that_is_not_there_has_no_names(tmp_path: Path) -> None:
    assert Folder(str(tmp_path)).names("nothing") == ()


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("s3://KEY:SECRET@bucket/ledger?endpoint_override=h:1&scheme=http", "s3://bucket/ledger"),
        ("/plain/path", "/plain/path"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
    ],
)
def test_secrets_of_a_uri_are_not_shown(uri: str, text: str) -> None:
    assert shown(uri) == text


def test_error_of_a_bad_uri_has_no_secret() -> None:
    with pytest.raises(BlockferryError) as caught:
        Folder("nosuch://KEY:SECRET@bucket/ledger?token=SECRET")
    assert "SECRET" not in str(caught.value)


def test_place_is_the_path_on_local_disks(tmp_path: Path) -> None:
    folder = Folder(f"file://{tmp_path}/")
    assert folder.place() == str(tmp_path)
    assert folder.place("a/b") == f"{tmp_path}/a/b"
