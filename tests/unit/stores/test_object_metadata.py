"""Attributes as user metadata: the form that other tools read, ASCII only, and back without a loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.base import Attributes, Kind
from stores.object_metadata import from_metadata, to_metadata

_NAMES = st.text(st.characters(codec="utf-8"), max_size=40)
_TIMES = st.integers(-(10**13), 10**14)
_ATTRIBUTES = st.builds(Attributes, _NAMES, _NAMES, st.integers(0, 0o7777), _TIMES, _TIMES)
_WRITTEN = {
    "file-permissions": "0100644",
    "file-owner": "ada",
    "file-group": "staff",
    "file-mtime": "1734968895000",
    "file-atime": "1734968895001",
}


@given(attributes=_ATTRIBUTES, kind=st.sampled_from(Kind))
def test_every_attribute_comes_back(attributes: Attributes, kind: Kind) -> None:
    assert from_metadata(to_metadata(attributes, kind)) == attributes


@given(attributes=_ATTRIBUTES)
def test_values_are_printable_ascii_without_spaces(attributes: Attributes) -> None:
    for value in to_metadata(attributes, Kind.FILE).values():
        assert all(0x21 <= ord(letter) < 0x7F for letter in value)


@given(attributes=_ATTRIBUTES)
def test_names_in_any_case_are_read(attributes: Attributes) -> None:
    written = {name.title(): value for name, value in to_metadata(attributes, Kind.FILE).items()}
    assert from_metadata(written) == attributes


def test_the_form_is_that_of_datasync() -> None:
    attributes = Attributes("ada", "staff", 0o644, 1734968895000, 1734968895001)
    assert to_metadata(attributes, Kind.FILE) == _WRITTEN


@pytest.mark.parametrize(
    ("kind", "permissions", "text"),
    [
        (Kind.FILE, 0o644, "0100644"),
        (Kind.FILE, 0, "0100000"),
        (Kind.FOLDER, 0o755, "0040755"),
        (Kind.FOLDER, 0o1777, "0041777"),
        (Kind.SYMLINK, 0o777, "0120777"),
    ],
)
def test_permissions_hold_the_file_type(kind: Kind, permissions: int, text: str) -> None:
    assert to_metadata(Attributes("", "", permissions, 0, 0), kind)["file-permissions"] == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ada", "ada"),
        ("müller", "m%C3%BCller"),
        ("50%", "50%25"),
        ("a b", "a%20b"),
        ("DOM\\u$er", "DOM\\u$er"),
        ("", ""),
    ],
)
def test_names_are_percent_encoded_where_they_must_be(name: str, text: str) -> None:
    assert to_metadata(Attributes(name, "g", 0, 0, 0), Kind.FILE)["file-owner"] == text


@pytest.mark.parametrize("name", sorted(_WRITTEN))
def test_without_one_of_the_five_there_are_none(name: str) -> None:
    assert from_metadata({key: value for key, value in _WRITTEN.items() if key != name}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("file-permissions", "rw-r--r--"),
        ("file-permissions", "0100888"),
        ("file-permissions", ""),
        ("file-mtime", "yesterday"),
        ("file-mtime", "1.5"),
        ("file-atime", "99999999999999999999"),
        ("file-atime", "\u0661"),
    ],
)
def test_foreign_values_are_none(name: str, value: str) -> None:
    assert from_metadata(_WRITTEN | {name: value}) is None


def test_other_metadata_is_left_alone() -> None:
    assert from_metadata({}) is None
    assert from_metadata(_WRITTEN | {"x": "y"}) == from_metadata(_WRITTEN)


def test_nanoseconds_of_fsx_are_read() -> None:
    found = from_metadata(_WRITTEN | {"file-mtime": "1734968895123456789ns"})
    assert found is not None and found.mtime_ms == 1734968895123


@pytest.mark.parametrize("text", ["100%", "a%zz", "%", "a%FFb"])
def test_names_that_are_not_ours_come_back_as_they_are(text: str) -> None:
    found = from_metadata(_WRITTEN | {"file-owner": text})
    assert found is not None and found.owner == text
