from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.http import Check
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import NewMessage
from service_chassis.messaging.outbox import append
from service_chassis.messaging.tables import heartbeats
from service_chassis.revocation import FRESH_FOR
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial

pytestmark = only_sqlite

SECONDS = timedelta(seconds=1)


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    return Trial(database, clock)


@pytest.fixture
def broken(trial: Trial, database: Database) -> Trial:
    """An application whose database has gone."""
    assert database.file is not None
    database.close()
    database.file.unlink()
    database.file.mkdir()
    return trial


def get(trial: Trial, path: str) -> tuple[int, Any]:
    response = trial.client(role=None).get(path)
    return response.status_code, response.json


def beat(database: Database, clock: ManualClock, **values: Any) -> None:
    row = {"worker": "worker", "beat_at": clock.now(), "broker_at": clock.now(), "queue_depth": 0, "holds": ""}
    with database.writing() as session:
        session.execute(insert(heartbeats).values(row | values))


def publish(database: Database, clock: ManualClock) -> None:
    message = NewMessage(uuid7(), "trial.events", "trial.happened.v1", "application/json", "{}", 1, "", "/trial")
    with database.writing() as session:
        append(session, [message], clock.now())


def down() -> str:
    return "It is not there."


def test_the_process_is_alive_whatever_it_depends_on(broken: Trial) -> None:
    status, answer = get(broken, "/livez")

    assert (status, answer["data"]) == (200, {"service": "trial", "status": "alive"})


def test_a_service_with_its_database_is_ready(trial: Trial) -> None:
    status, answer = get(trial, "/readyz")

    assert (status, answer["data"]) == (200, {"service": "trial", "status": "ready"})


def test_a_service_without_its_database_is_not_ready_and_says_why(broken: Trial) -> None:
    status, answer = get(broken, "/readyz")

    assert (status, answer["success"], answer["error"]) == (503, False, "not_ready")
    assert answer["data"] == {"errors": {"database": ["The database cannot be reached right now."]}}


def test_readiness_asks_what_is_required_and_nothing_else(database: Database, clock: ManualClock) -> None:
    required = Trial(database, clock, checks=[Check("keys", down)])
    optional = Trial(database, clock, checks=[Check("cache", down, required=False)])

    assert get(required, "/readyz")[1]["data"] == {"errors": {"keys": ["It is not there."]}}
    assert get(optional, "/readyz")[0] == 200


def test_a_healthy_service_says_so_to_anybody(trial: Trial, database: Database, clock: ManualClock) -> None:
    beat(database, clock, queue_depth=3)

    status, answer = get(trial, "/api/v1/health")

    assert (status, answer["success"]) == (200, True)
    assert (answer["data"]["service"], answer["data"]["status"]) == ("trial", "healthy")
    assert answer["data"]["timestamp"] == clock.now().isoformat()
    assert {name: check["status"] for name, check in answer["data"]["checks"].items()} == {
        "database": "up",
        "broker": "up",
        "lag": "up",
    }
    assert answer["data"]["checks"]["lag"]["queue_depth"] == 3


def test_health_is_unhealthy_without_the_database(broken: Trial) -> None:
    status, answer = get(broken, "/api/v1/health")

    assert (status, answer["success"], answer["error"]) == (503, False, "unhealthy")
    assert answer["data"]["checks"]["database"]["status"] == "down"


def test_a_required_part_that_is_down_makes_the_service_unhealthy_another_one_degraded(
    database: Database, clock: ManualClock
) -> None:
    beat(database, clock)
    required = Trial(database, clock, checks=[Check("keys", down)])
    optional = Trial(database, clock, checks=[Check("cache", down, required=False)])

    assert get(required, "/api/v1/health")[0] == 503
    status, answer = get(optional, "/api/v1/health")
    assert (status, answer["data"]["status"]) == (200, "degraded")
    assert answer["data"]["checks"]["cache"] == {"status": "down", "problem": "It is not there."}


@pytest.mark.parametrize(
    ("ago", "problem"),
    [
        ({"beat_at": 29, "broker_at": 29}, None),
        ({"beat_at": 31, "broker_at": 31}, "No worker is running."),
        ({"beat_at": 0, "broker_at": 31}, "No worker reaches the broker."),
    ],
)
def test_the_broker_is_as_well_as_the_workers_say(
    trial: Trial, database: Database, clock: ManualClock, ago: dict[str, int], problem: str | None
) -> None:
    beat(database, clock, **{column: clock.now() - seconds * SECONDS for column, seconds in ago.items()})

    status, answer = get(trial, "/api/v1/health")

    assert status == 200
    assert answer["data"]["checks"]["broker"]["problem"] == problem


def test_health_shows_the_breaker_that_is_furthest_from_closed(
    trial: Trial, database: Database, clock: ManualClock
) -> None:
    """S4-24, C-40."""
    for worker, state in (("old", None), ("one", "closed"), ("other", "open")):
        beat(database, clock, worker=worker, broker_state=state)

    assert get(trial, "/api/v1/health")[1]["data"]["checks"]["broker"]["breaker"] == "open"


def test_one_worker_that_reaches_the_broker_is_enough(trial: Trial, database: Database, clock: ManualClock) -> None:
    beat(database, clock, worker="lost", broker_at=None, queue_depth=None)
    beat(database, clock, worker="well")

    assert get(trial, "/api/v1/health")[1]["data"]["status"] == "healthy"


def test_lag_is_how_long_the_oldest_event_has_waited(trial: Trial, database: Database, clock: ManualClock) -> None:
    publish(database, clock)
    clock.advance(61 * SECONDS)
    beat(database, clock)

    lag = get(trial, "/api/v1/health")[1]["data"]["checks"]["lag"]

    assert (lag["status"], lag["seconds"]) == ("down", 61)


def test_metrics_are_those_of_the_given_registry(trial: Trial) -> None:
    get(trial, "/livez")

    response = trial.client(role=None).get("/metrics")

    assert response.content_type.startswith("text/plain")
    assert 'http_requests_total{method="GET",route="/livez",status="200"} 1.0' in response.text


def test_the_age_of_what_is_known_of_ended_sessions_is_a_metric(trial: Trial) -> None:
    trial.callers.lose_the_feed()

    assert f"revocations_age_seconds {FRESH_FOR}" in trial.client(role=None).get("/metrics").text
