"""Single events: what they are about, and what a wrong value in one meets."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

import event_contracts as contracts
from event_contracts import validated

USER = UUID("019bb15d-b5f6-7088-8231-74d06cde3e3a")
RUN = UUID("019ceb7b-a0da-7c37-9c1c-24df6c4f1f68")
NOW = datetime(2026, 3, 14, 2, tzinfo=UTC)


def deactivated(**changes: Any) -> contracts.UserDeactivated:
    values: dict[str, Any] = {
        "user_id": USER,
        "number": 7,
        "role": "user",
        "status": "deactivated",
        "registered_at": NOW,
        "last_activity_at": NOW,
    }
    return contracts.UserDeactivated(**values | changes)


def test_an_event_of_a_user_is_about_the_user() -> None:
    assert deactivated().subject == str(USER)


def test_a_request_is_about_the_user_and_not_the_run() -> None:
    event = contracts.WarningDue(user_id=USER, run_id=RUN, deactivate_at=NOW)
    assert event.subject == str(USER)


def test_a_watermark_is_about_the_service() -> None:
    assert contracts.UserWatermark(as_of=NOW).subject == "user-service"


def test_what_is_not_known_is_null() -> None:
    data = msgspec.json.decode(msgspec.json.encode(deactivated()))
    assert (data["run_id"], data["actor_id"], data["deactivation_reason"]) == (None, None, None)


def test_a_correct_event_is_valid() -> None:
    assert validated(deactivated(run_id=RUN)) == deactivated(run_id=RUN)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", "7"),
        ("role", "root"),
        ("status", None),
        ("registered_at", NOW.replace(tzinfo=None)),
        ("deactivated_at", NOW.timestamp()),
        ("run_id", "the nightly one"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused(field: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        validated(deactivated(**{field: value}))
