"""Page sizes and tokens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blockferry.errors import BlockferryError
from scheduler.pages import page_size, position, token


@pytest.mark.parametrize(("asked", "size"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_page_size_has_a_default_and_a_ceiling(asked: int, size: int) -> None:
    assert page_size(asked) == size


def test_negative_page_size_is_an_error() -> None:
    with pytest.raises(BlockferryError, match="page_size is -1") as caught:
        page_size(-1)
    assert caught.value.coordinates["field"] == "page_size"


@settings(deadline=None)
@given(st.text(), st.lists(st.text() | st.integers()))
def test_token_leads_to_its_position(after: str, arguments: list[str | int]) -> None:
    assert position(token(after, *arguments), *arguments) == after


def test_empty_token_is_the_first_page() -> None:
    assert position("", "tasks", 10) == ""


@pytest.mark.parametrize("wrong", ["x", "%%%", "e30", "W10", "WzEsMl0", "AAAA", "é"])
def test_token_that_is_none_of_ours_is_refused(wrong: str) -> None:
    with pytest.raises(BlockferryError) as caught:
        position(wrong, "tasks", 10)
    assert caught.value.reason == "INVALID_PAGE_TOKEN"


def test_token_is_bound_to_the_arguments() -> None:
    with pytest.raises(BlockferryError):
        position(token("a", "tasks", 10), "tasks", 11)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_in_the_same_way(noise: bytes) -> None:
    with pytest.raises(BlockferryError):
        position("x" + noise.hex(), "tasks", 10)
