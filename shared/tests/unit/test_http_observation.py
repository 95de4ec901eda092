import json
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import pytest
from sqlalchemy import select

from service_chassis import correlation
from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.http import Blueprint, public, uow
from service_chassis.messaging.envelope import Outgoing
from service_chassis.messaging.tables import outbox
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial

pytestmark = only_sqlite

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
bell = Blueprint("bell", __name__, url_prefix="/api/v1/bells")


class Rung(msgspec.Struct, frozen=True):
    type: ClassVar[str] = "bell.rung.v1"
    exchange: ClassVar[str] = "bell.events"
    source: ClassVar[str] = "/bells"
    bell: int

    @property
    def subject(self) -> str:
        return str(self.bell)


@bell.route("/<int:number>/ring", methods=["POST"])
@bell.response(200)
def ring(number: int) -> None:
    uow().publish(Outgoing(Rung(number)))
    uow().publish(Outgoing(Rung(number)))


@bell.route("/broken")
@bell.response(200)
@public
def crack() -> None:
    raise RuntimeError


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    return Trial(database, clock, bell)


def events(database: Database) -> list[Any]:
    with database.reading() as session:
        return [json.loads(body) for body in session.scalars(select(outbox.c.body))]


def requests(trial: Trial) -> list[dict[str, Any]]:
    return [line for line in trial.log() if line["event"] == "request"]


def test_a_callers_correlation_id_goes_everywhere(trial: Trial, database: Database) -> None:
    headers = {"X-Correlation-ID": "order-66", "traceparent": TRACE}

    response = trial.client().post("/api/v1/bells/1/ring", headers=headers)

    assert response.headers["X-Correlation-ID"] == "order-66"
    assert requests(trial)[0]["correlation_id"] == "order-66"
    assert {event["correlationid"] for event in events(database)} == {"order-66"}
    assert all(event["traceparent"].startswith(TRACE[:35]) for event in events(database))


@pytest.mark.parametrize("given", [None, "", "no good\x7f", "x" * 65])
def test_a_missing_or_malformed_correlation_id_is_made(trial: Trial, given: str | None) -> None:
    headers = {} if given is None else {"X-Correlation-ID": given}

    first = trial.client().post("/api/v1/bells/1/ring", headers=headers).headers["X-Correlation-ID"]
    second = trial.client().post("/api/v1/bells/1/ring", headers=headers).headers["X-Correlation-ID"]

    assert first
    assert given != first != second


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/bells/broken"])
def test_errors_carry_the_correlation_id_too(trial: Trial, path: str) -> None:
    response = trial.client().get(path, headers={"X-Correlation-ID": "order-66"})

    assert response.headers["X-Correlation-ID"] == "order-66"
    assert {line["correlation_id"] for line in trial.log()} == {"order-66"}


def test_what_a_request_publishes_names_the_request_as_its_cause(trial: Trial, database: Database) -> None:
    for _ in range(2):
        trial.client().post("/api/v1/bells/1/ring", headers={"X-Correlation-ID": "order-66"})

    first, *_, last = [event["causationid"] for event in events(database)]
    assert [line["causation_id"] for line in requests(trial)] == [first, last]
    assert first != last
    assert len({event["causationid"] for event in events(database)}) == 2


def test_nothing_of_a_request_is_left_on_its_thread(trial: Trial) -> None:
    trial.client().get("/api/v1/bells/broken", headers={"X-Correlation-ID": "order-66"})

    assert correlation.current() is None


def test_each_request_is_one_line_without_what_it_said(trial: Trial) -> None:
    trial.client().post("/api/v1/bells/77/ring?password=hunter2", json={"password": "hunter2"})
    trial.client().post("/api/v1/bells/77/ring", json={"password": "hunter2"})

    refused, rung = requests(trial)
    assert (refused["method"], refused["route"], refused["status"]) == ("POST", "/api/v1/bells/<int:number>/ring", 400)
    assert (rung["method"], rung["route"], rung["status"]) == ("POST", "/api/v1/bells/<int:number>/ring", 200)
    assert rung["duration_ms"] >= 0
    assert "hunter2" not in str(trial.log())
    assert "77" not in rung["route"]


@pytest.mark.parametrize("path", ["/api/v1/bells/broken", "/api/v1/dead-letters", "/nowhere"])
def test_no_answer_is_kept_on_its_way_unless_it_says_so(trial: Trial, path: str) -> None:
    assert trial.client("admin").get(path).headers["Cache-Control"] == "no-store"


def test_the_line_of_a_request_is_for_debugging_unless_the_service_failed(trial: Trial) -> None:
    trial.client().get("/livez")
    trial.client().get("/livez?verbose=1")
    trial.client(None).get("/api/v1/bells/broken")

    assert [(line["route"], line["status"], line["level"]) for line in requests(trial)] == [
        ("/livez", 200, "debug"),
        ("/livez", 400, "debug"),
        ("/api/v1/bells/broken", 500, "info"),
    ]


def test_requests_are_counted_and_timed_by_route(trial: Trial) -> None:
    trial.client().post("/api/v1/bells/1/ring")
    trial.client().post("/api/v1/bells/2/ring")

    route = {"method": "POST", "route": "/api/v1/bells/<int:number>/ring"}
    assert trial.registry.get_sample_value("http_requests_total", route | {"status": "200"}) == 2
    assert trial.registry.get_sample_value("http_request_seconds_count", route) == 2


def test_what_callers_make_up_does_not_become_a_label(trial: Trial) -> None:
    trial.client().open("/made/up", method="BREW")

    labels = {"method": "OTHER", "route": "unmatched", "status": "404"}
    assert trial.registry.get_sample_value("http_requests_total", labels) == 1


def test_two_applications_of_one_process_do_not_see_each_other(database: Database, clock: ManualClock) -> None:
    one, other = Trial(database, clock, bell, name="one"), Trial(database, clock, bell, name="other")

    one.client().post("/api/v1/bells/1/ring")

    route = {"method": "POST", "route": "/api/v1/bells/<int:number>/ring", "status": "200"}
    assert one.registry.get_sample_value("http_requests_total", route) == 1
    assert other.registry.get_sample_value("http_requests_total", route) is None
    assert [line["service"] for line in one.log()] == ["one"]
    assert other.log() == []
    assert other.client().post("/api/v1/bells/1/ring", headers=one.callers.headers()).status_code == 200


@dataclass
class Parts:
    greeting: str


def test_each_application_gives_its_views_parts_of_its_own(database: Database, clock: ManualClock) -> None:
    from service_chassis.http import parts

    hall = Blueprint("hall", __name__, url_prefix="/api/v1")

    @hall.route("/greeting", methods=["DELETE"])
    @hall.response(200, description="never said")
    @public
    def greet() -> tuple[None, dict[str, str]]:
        return None, {"X-Greeting": parts().greeting}

    trials = [Trial(database, clock, hall, parts=Parts(word)) for word in ("hello", "hi")]

    assert [t.client().delete("/api/v1/greeting").headers["X-Greeting"] for t in trials] == ["hello", "hi"]
