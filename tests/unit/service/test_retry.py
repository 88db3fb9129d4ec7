"""Only retryable errors are repeated, and no more often than the backoff allows."""

from __future__ import annotations

import pytest

from blockferry.errors import BlockferryError
from service.backoff import Backoff
from service.retry import call_with_retry

THREE = Backoff(base_s=1.0, attempts=3)


class Flaky:
    """Fails `failures` times with an error, then answers 7."""

    def __init__(self, failures: int, retryable: bool = True) -> None:
        self.failures = failures
        self.retryable = retryable
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise BlockferryError("STORE_UNAVAILABLE", "The store is busy.", retryable=self.retryable)
        return 7


def test_a_transient_error_is_repeated_until_it_works() -> None:
    flaky, waits = Flaky(failures=2), list[float]()
    assert call_with_retry(flaky, THREE, sleep=waits.append) == 7
    assert flaky.calls == 3
    assert len(waits) == 2


def test_the_last_error_names_the_attempt() -> None:
    flaky = Flaky(failures=9)
    with pytest.raises(BlockferryError) as caught:
        call_with_retry(flaky, THREE, sleep=lambda _: None)
    assert flaky.calls == 3
    assert caught.value.coordinates["attempt"] == "3"


def test_other_errors_are_not_repeated() -> None:
    flaky = Flaky(failures=1, retryable=False)
    with pytest.raises(BlockferryError):
        call_with_retry(flaky, THREE, sleep=lambda _: pytest.fail("it waited"))
    assert flaky.calls == 1


def test_each_repetition_is_told() -> None:
    told = list[tuple[str, int]]()
    call_with_retry(
        Flaky(failures=2), THREE, sleep=lambda _: None, on_retry=lambda error, n: told.append((error.reason, n))
    )
    assert told == [("STORE_UNAVAILABLE", 1), ("STORE_UNAVAILABLE", 2)]


def test_a_wait_that_raises_ends_it() -> None:
    def cancelled(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call_with_retry(Flaky(failures=1), THREE, sleep=cancelled)
