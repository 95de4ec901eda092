from datetime import timedelta

import pytest

from service_chassis.retry import Backoff, retrying

STEADY = Backoff(first=timedelta(seconds=1), factor=2, longest=timedelta(seconds=10), jitter=0, attempts=3)


class Flaky:
    """Fails so many times, then answers; notes how long it was made to wait."""

    def __init__(self, failures: int, error: type[Exception] = ConnectionError) -> None:
        self._failures = failures
        self._error = error
        self.calls = 0
        self.waits: list[float] = []

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error(f"failure {self.calls}")
        return "answer"


def test_delays_grow_by_the_factor_up_to_the_longest() -> None:
    delays = [STEADY.delay(attempt).total_seconds() for attempt in range(1, 7)]

    assert delays == [1, 2, 4, 8, 10, 10]


def test_jitter_shortens_a_delay_by_its_share_at_most() -> None:
    backoff = Backoff(first=timedelta(seconds=10), jitter=0.5)

    assert backoff.delay(1, random=lambda: 0.0) == timedelta(seconds=10)
    assert backoff.delay(1, random=lambda: 1.0) == timedelta(seconds=5)


def test_a_loop_that_reconnects_for_days_does_not_overflow() -> None:
    assert Backoff(jitter=0).delay(1_000_000) == timedelta(minutes=15)


def test_a_call_is_repeated_until_it_answers() -> None:
    flaky = Flaky(failures=2)

    answer = retrying(flaky, on=ConnectionError, backoff=STEADY, within=timedelta(seconds=60), sleep=flaky.waits.append)

    assert answer == "answer"
    assert flaky.waits == [1, 2]


def test_the_last_error_comes_out_as_it_is_when_the_attempts_are_used_up() -> None:
    flaky = Flaky(failures=9)

    with pytest.raises(ConnectionError, match="failure 3"):
        retrying(flaky, on=ConnectionError, backoff=STEADY, within=timedelta(seconds=60), sleep=flaky.waits.append)


def test_no_repetition_starts_after_the_deadline() -> None:
    flaky = Flaky(failures=1)

    with pytest.raises(ConnectionError):
        retrying(flaky, on=ConnectionError, backoff=STEADY, within=timedelta(seconds=1), sleep=flaky.waits.append)

    assert flaky.calls == 1


def test_other_errors_are_not_repeated() -> None:
    flaky = Flaky(failures=1, error=ValueError)

    with pytest.raises(ValueError, match="failure 1"):
        retrying(flaky, on=ConnectionError, backoff=STEADY, within=timedelta(seconds=60), sleep=flaky.waits.append)
