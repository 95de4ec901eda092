from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_service.model.throttle import (
    ACCOUNT,
    ACCOUNT_BY_DEVICES,
    ADDRESS,
    ADDRESS_BY_DEVICES,
    REGISTRATION,
    Pace,
    Throttle,
)

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PACE = Pace(free=3, longest=timedelta(seconds=10), memory=timedelta(hours=1), most=6)


def failed(times: int, pace: Pace = PACE) -> Throttle:
    throttle = Throttle.unused("key")
    for _ in range(times):
        throttle.fails(pace, at=NOON)
    return throttle


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 4), (6, 3600), (7, 3600)]
)
def test_the_first_failures_are_free_and_each_further_one_makes_the_wait_longer(failures: int, seconds: int) -> None:
    assert max(failed(failures).blocked_until, NOON) == NOON + timedelta(seconds=seconds)


def test_a_failure_that_costs_nothing_keeps_nobody_who_came_a_moment_earlier() -> None:
    """Of two at once the later may be counted first, and its instant lies in the other's future."""
    throttle = Throttle.unused("key")
    throttle.fails(PACE, at=NOON + SECOND)

    assert throttle.blocked_until <= NOON


def test_a_thousand_people_may_register_from_one_address_in_a_minute() -> None:
    """S4-56."""
    assert REGISTRATION.pause(1_000) == timedelta(0)


def test_no_pause_is_longer_than_the_longest() -> None:
    assert ADDRESS.pause(10_000) == ADDRESS.longest


def test_failures_are_forgotten_a_while_after_the_last_one() -> None:
    throttle = failed(4)

    throttle.fails(PACE, at=NOON + PACE.memory)

    assert throttle.failures == 1


@given(st.integers(0, 500), st.integers(0, 500))
def test_more_failures_never_mean_a_shorter_wait(fewer: int, more: int) -> None:
    for pace in (ACCOUNT, ADDRESS, ACCOUNT_BY_DEVICES, ADDRESS_BY_DEVICES):
        assert pace.pause(min(fewer, more)) <= pace.pause(max(fewer, more))
