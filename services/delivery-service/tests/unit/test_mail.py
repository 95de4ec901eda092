from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from delivery_service.model.mail import LONGEST_ANSWER, Mail, MailStatus

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
SCHEDULE = (timedelta(0), timedelta(seconds=100))


def mail(**changes: Any) -> Mail:
    made = Mail(status=MailStatus.PENDING, attempts=0, variables={"a": 1}, sealed_variables="sealed", **changes)
    made.begin_attempt(at=NOW)
    return made


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 80), (0.5, 100), (1.0, 120)])
def test_the_next_attempt_comes_when_the_schedule_says_give_or_take_a_fifth(chance: float, seconds: int) -> None:
    postponed = mail()

    postponed.postpone("mail_postponed", "451 Later", SCHEDULE, at=NOW, chance=lambda: chance)

    assert postponed.next_attempt_at == NOW + timedelta(seconds=seconds)
    assert (postponed.is_pending, postponed.sealed_variables) == (True, "sealed")


def test_after_the_last_attempt_a_mail_has_failed_and_says_nothing_any_more() -> None:
    tried = mail()
    tried.begin_attempt(at=NOW)

    tried.postpone("mail_postponed", "451 Later", SCHEDULE, at=NOW)

    assert (tried.status, tried.reason, tried.settled_at) == ("failed", "mail_postponed", NOW)
    assert (tried.variables, tried.sealed_variables) == ({}, None)


def test_of_a_long_answer_the_beginning_is_kept() -> None:
    refused = mail()

    refused.fail("mail_refused", "550 \0" + "x" * 10_000, at=NOW)

    assert refused.answer is not None
    assert refused.answer.startswith("550 x")
    assert len(refused.answer) <= LONGEST_ANSWER
