"""Paths and keys: what an object store can hold comes back as it was, the rest is refused with a cause."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blockferry.errors import BlockferryError, Whose
from stores.naming import MAX_KEY_BYTES, check_key, key_of, path_of

_ALLOWED = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(
    lambda path: all(part not in ("", ".", "..") for part in path.removesuffix("/").split("/"))
)


@given(path=_ALLOWED, prefix=st.sampled_from(["", "p/", "a/b c/é/"]))
def test_an_allowed_path_comes_back_from_its_key(path: str, prefix: str) -> None:
    check_key(prefix, path, 10_000)
    assert path_of(prefix, key_of(prefix, path)) == path


@given(path=_ALLOWED, other=_ALLOWED)
def test_different_paths_have_different_keys_in_the_same_order(path: str, other: str) -> None:
    one, two = key_of("p/", path), key_of("p/", other)
    assert (one == two) == (path == other)
    assert (one.encode() < two.encode()) == (path < other)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("", "empty"),
        ("/", "empty segment"),
        ("/a", "empty segment"),
        ("a//b", "empty segment"),
        ("a//", "empty segment"),
        (".", "segment"),
        ("..", "segment"),
        ("a/./b", "segment"),
        ("../a", "segment"),
        ("a/..", "segment"),
        ("a/../", "segment"),
        ("a\x00b", "U+0000"),
        ("a\tb", "U+0009"),
        ("a\nb", "U+000A"),
        ("a\x1f", "U+001F"),
        ("a\x7f", "U+007F"),
        ("a\udc80", "surrogate"),
        ("\ud83d", "surrogate"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_its_cause(path: str, cause: str) -> None:
    with pytest.raises(BlockferryError) as raised:
        check_key("p/", path)
    error = raised.value
    assert (error.reason, error.retryable, error.whose) == ("INVALID_KEY", False, Whose.SOURCE)
    assert cause in error.message
    assert error.coordinates["path"].isascii() or error.coordinates["path"].isprintable()


@pytest.mark.parametrize("path", ["...", ".a", "a.", "..a", "a/.b/c..", " ", "a /", "\x80", "\x9f", "\u2028", "\ufffe"])
def test_what_only_looks_odd_is_allowed(path: str) -> None:
    check_key("", path)


def test_the_length_counts_bytes_with_the_prefix() -> None:
    check_key("p/", "x" * (MAX_KEY_BYTES - 2))
    check_key("p/", "é" * 511)
    for path in ("x" * (MAX_KEY_BYTES - 1), "é" * 512):
        with pytest.raises(BlockferryError) as raised:
            check_key("p/", path)
        assert "shorten" in raised.value.message
    with pytest.raises(BlockferryError):
        check_key("", "123456", 5)


def test_a_key_of_another_prefix_is_no_path() -> None:
    with pytest.raises(ValueError, match="does not begin"):
        path_of("p/", "q/a")
