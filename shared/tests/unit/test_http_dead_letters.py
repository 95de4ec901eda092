"""Dead letters over HTTP, on an application of the kit."""

from datetime import UTC, datetime

import pytest

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.messaging import failures
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.failures import Filter
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial

pytestmark = only_sqlite

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATH = "/api/v1/dead-letters"


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    trial = Trial(database, clock)
    for message_id, reason in (("one", "undecodable"), ("two", "unknown_type"), ("three", "unknown_type")):
        delivery = Delivery(1, message_id, "user.events", "user.registered.v1", "application/cloudevents+json", b"{}")
        with trial.units.write() as uow:
            failures.park(uow.session, "trial", delivery, reason=reason, detail="No.", now=NOW)
    return trial


def dead(trial: Trial) -> int:
    with trial.units.read() as uow:
        return failures.count(uow.session, Filter())


def test_an_operator_sees_dead_letters_by_filter_and_one_with_its_body(trial: Trial) -> None:
    operator = trial.client(role="admin")

    listed = operator.get(f"{PATH}?reason=unknown_type").json["data"]
    shown = operator.get(f"{PATH}/{listed[0]['id']}").json["data"]

    assert {letter["message_id"] for letter in listed} == {"two", "three"}
    assert shown["body"] == "{}"


def test_a_dry_run_says_how_many_and_does_nothing(trial: Trial) -> None:
    operator = trial.client(role="admin")

    answers = [
        operator.post(f"{PATH}/{action}", json={"reason": "unknown_type", "dry_run": True}).json["data"]
        for action in ("redrive", "drop")
    ]

    assert answers == [{"count": 2, "dry_run": True}] * 2
    assert dead(trial) == 3


def test_redriven_letters_get_fresh_attempts_and_dropped_ones_are_gone(trial: Trial) -> None:
    operator = trial.client(role="admin")

    redriven = operator.post(f"{PATH}/redrive", json={"reason": "undecodable"}).json["data"]
    dropped = operator.post(f"{PATH}/drop", json={"reason": "unknown_type"}).json["data"]

    assert (redriven["count"], dropped["count"], dead(trial)) == (1, 2, 0)
    with trial.units.read() as uow:
        assert failures.totals(uow.session) == {"retrying": 1}


@pytest.mark.parametrize("action", ["redrive", "drop"])
def test_everything_is_meant_only_by_those_who_say_so(trial: Trial, action: str) -> None:
    operator = trial.client(role="admin")

    slip = operator.post(f"{PATH}/{action}", json={})
    meant = operator.post(f"{PATH}/{action}", json={"all": True})

    assert (slip.status_code, slip.json["error"]) == (400, "validation_failed")
    assert meant.json["data"]["count"] == 3


@pytest.mark.parametrize("role", ["manager", "user"])
def test_nobody_but_an_operator_gets_near_them(trial: Trial, role: str) -> None:
    client = trial.client(role=role)

    statuses = [client.get(PATH).status_code, client.post(f"{PATH}/drop", json={}).status_code]

    assert statuses == [403, 403]
    assert dead(trial) == 3


def test_what_is_not_there_is_not_found(trial: Trial) -> None:
    answer = trial.client(role="admin").get(f"{PATH}/01a1fdd5-6ebf-7c90-8559-c6a747a70985")

    assert (answer.status_code, answer.json["error"]) == (404, "dead_letter_not_found")
