from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery_service.model.schedule import LONGEST_RETRY_AFTER, STANDARD, Schedule, retry_after

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_the_schedule_is_the_one_the_specification_proposes() -> None:
    hours = [delay.total_seconds() / 3_600 for delay in STANDARD]

    assert [delay.total_seconds() for delay in STANDARD[:3]] == [0, 5, 300]
    assert hours[3:] == [0.5, 2, 5, 10, 14, 20, 24]


def test_the_first_attempt_is_due_at_once_and_the_last_has_no_next() -> None:
    schedule = Schedule()

    assert schedule.delays[0] == timedelta()
    assert schedule.next_at(9, NOW) is not None
    assert schedule.next_at(10, NOW) is None
    assert schedule.next_at(11, NOW) is None


@given(attempts=st.integers(1, 9), share=st.floats(0, 1, exclude_max=True))
def test_a_delay_is_off_by_a_fifth_at_most(attempts: int, share: float) -> None:
    due = Schedule().next_at(attempts, NOW, random=lambda: share)

    assert due is not None
    assert 0.8 * STANDARD[attempts] <= due - NOW <= 1.2 * STANDARD[attempts]


def test_what_failed_together_does_not_come_again_together() -> None:
    due = {Schedule().next_at(2, NOW) for _ in range(100)}

    assert len(due) > 90


def test_a_receiver_lengthens_the_wait_and_does_not_shorten_it() -> None:
    schedule = Schedule.of_seconds([0, 60])

    def due(wait: timedelta) -> datetime | None:
        return schedule.next_at(1, NOW, retry_after=wait, random=lambda: 0.5)

    assert due(120 * SECOND) == NOW + 120 * SECOND
    assert due(1 * SECOND) == NOW + 60 * SECOND
    assert due(timedelta(days=365)) == NOW + LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", 120 * SECOND),
        (" 0 ", 0 * SECOND),
        ("Tue, 15 Jan 2030 12:05:00 GMT", 300 * SECOND),
        ("Tuesday, 15-Jan-30 12:05:00 GMT", 300 * SECOND),
        ("Tue Jan 15 12:05:00 2030", 300 * SECOND),
        (format_datetime(NOW - SECOND, usegmt=False), 0 * SECOND),
        ("Mon, 14 Jan 2030 12:00:00 GMT", 0 * SECOND),
        ("86401", LONGEST_RETRY_AFTER),
        ("9" * 100, LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("", 0 * SECOND),
        ("-5", 0 * SECOND),
        ("1.5", 0 * SECOND),
        ("\u0665", 0 * SECOND),
        ("soon", 0 * SECOND),
        ("Fri, 99 Foo 2030 99:99:99 GMT", 0 * SECOND),
    ],
)
def test_retry_after_is_understood_in_seconds_and_as_a_date(header: str, wait: timedelta) -> None:
    assert retry_after(header, NOW) == wait


@pytest.mark.parametrize("seconds", [[], [0] * 51, [-1], [604_801]])
def test_a_schedule_nobody_can_mean_is_refused(seconds: list[float]) -> None:
    with pytest.raises(ValueError):
        Schedule.of_seconds(seconds)
