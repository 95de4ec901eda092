"""What follows from an attempt."""

from datetime import UTC, datetime, timedelta

import pytest

from delivery_service.model.attempt import ErrorClass, Result, error_of
from delivery_service.model.delivery import Delivery, DeliveryState, Verdict, judge
from delivery_service.model.destination import Reason
from delivery_service.model.errors import DeliveryUnderWay
from delivery_service.model.schedule import Schedule

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
SCHEDULE = Schedule.of_seconds([0, 5, 300])


def judged(
    result: Result, *, tries: int = 1, failing_since: datetime | None = None, schedule: Schedule = SCHEDULE
) -> Verdict:
    return judge(result, tries, schedule, failing_since, at=NOW, random=lambda: 0.5)


def answered(status: int, retry_after: str = "") -> Result:
    return Result(status, error_of(status), retry_after=retry_after)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_success(status: int) -> None:
    verdict = judged(answered(status))

    assert (verdict.state, verdict.due_at, verdict.counts_against) == (DeliveryState.SUCCEEDED, None, False)


def test_a_failure_is_followed_by_the_next_attempt_of_the_schedule() -> None:
    assert judged(answered(500), tries=1).due_at == NOW + timedelta(seconds=5)
    assert judged(answered(500), tries=2).due_at == NOW + timedelta(seconds=300)


def test_after_the_last_attempt_a_delivery_has_failed() -> None:
    verdict = judged(answered(500), tries=3)

    assert (verdict.state, verdict.due_at) == (DeliveryState.FAILED, None)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure(status: int) -> None:
    verdict = judged(answered(status))

    assert (verdict.state, verdict.counts_against) == (DeliveryState.RETRYING, True)


def test_410_disables_the_destination_and_keeps_the_delivery_for_when_it_is_enabled() -> None:
    verdict = judged(answered(410))

    assert (verdict.state, verdict.disable) == (DeliveryState.RETRYING, Reason.GONE)


def test_a_destination_that_has_failed_for_five_days_is_disabled() -> None:
    five_days = timedelta(days=5)

    assert judged(answered(500), failing_since=NOW - five_days).disable == Reason.FAILING
    assert judged(answered(500), failing_since=NOW - five_days + timedelta(seconds=1)).disable is None
    assert judged(answered(200), failing_since=NOW - five_days).disable is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_destination_that_is_too_busy_is_left_alone_for_as_long_as_it_says(status: int) -> None:
    verdict = judged(answered(status, "60"))

    assert (verdict.wait, verdict.due_at) == (timedelta(seconds=60), NOW + timedelta(seconds=60))


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422])
def test_a_request_that_is_refused_says_nothing_against_the_destination(status: int) -> None:
    assert not judged(answered(status)).counts_against


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_destination_that_cannot_answer_has_failed(status: int) -> None:
    assert judged(answered(status)).counts_against


@pytest.mark.parametrize("error", [error for error in ErrorClass if error is not ErrorClass.HTTP_ERROR])
def test_without_an_answer_a_destination_has_failed(error: ErrorClass) -> None:
    assert judged(Result(None, error)).counts_against


@pytest.mark.parametrize("state", ["failed", "discarded", "succeeded", "retrying"])
def test_a_retry_by_hand_is_due_now_and_begins_the_schedule_anew(state: str) -> None:
    delivery = Delivery(state=state, due_at=None, attempts=3, tries=3, processed_at=NOW)
    delivery.retry(at=NOW)

    assert (delivery.state, delivery.due_at, delivery.tries, delivery.attempts) == ("pending", NOW, 0, 3)
    assert delivery.processed_at is None


@pytest.mark.parametrize("state", ["pending", "sending"])
def test_what_is_under_way_is_not_retried(state: str) -> None:
    with pytest.raises(DeliveryUnderWay):
        Delivery(state=state).retry(at=NOW)
