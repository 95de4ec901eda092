from collections import Counter
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import pytest

from service_chassis.testing.waiting import wait_until
from tests.running.cleanup import DEACTIVATED, CleanupRun, refused
from tests.running.native import USER_WORKER, Native
from tests.running.people import Person, crowd, person
from tests.running.steward import ADMIN, CLEANUP, RUNS, USER, Steward

PROMISED = {
    "id",
    "timestamp",
    "users_deactivated",
    "active_users_remaining",
    "threshold_days",
    "cutoff",
    "trigger",
    "duration_ms",
}


def test_the_walk_of_the_readme_ends_in_a_report(system: Steward) -> None:
    """S0-16."""
    gone, here = person("gone", days_away=45), person("here", days_away=2)
    imported = system.take_in([gone, here])
    signed_in = system.door.post("/api/v1/auth/login", ADMIN).data
    admin = system.door.showing(signed_in["access_token"])

    triggered = admin.post(RUNS).data
    wait_until(lambda: admin.get(triggered["status_url"]).data["status"] == "completed", 30)

    report = admin.get("/api/v1/reports/latest").data
    found = admin.get("/api/v1/users", status="deactivated", email=gone.email)
    assert imported["imported"] == 2
    assert signed_in["user"]["email"] == ADMIN["email"]
    assert report.keys() >= PROMISED
    assert (report["run_id"], report["trigger"], report["threshold_days"]) == (triggered["id"], "manual", 30)
    assert report["users_deactivated"] >= 1
    assert report["active_users_remaining"] == admin.get("/api/v1/users", status="active", limit=1).meta["total"]
    assert (found.meta["total"], [user["email"] for user in found.data]) == (1, [gone.email])
    assert admin.get("/api/v1/users", status="active", email=here.email).meta["total"] == 1


def test_a_run_over_thousands_reconciles_and_tells_of_each_user_once(system: Steward) -> None:
    people = crowd(2_000, inactive=0.7)
    inactive = {one.email for one in people if one.is_inactive}
    system.take_in(people)

    run = CleanupRun.triggered(system)
    view = run.finished()

    told = Counter(event["data"]["user_id"] for event in system.events(USER, "user.deactivated.v1") if by(event, run))
    assert view["candidates"] == view["deactivated"] + view["refused"] + view["failed"]
    assert run.outcomes(people) == dict.fromkeys(inactive, DEACTIVATED)
    assert len(told) == view["deactivated"] >= len(inactive)
    assert set(told.values()) == {1}
    assert versions_known_to_cleanup(system, people) == {one.email: 1 + one.is_inactive for one in people}


def test_a_user_who_signed_in_after_the_plan_is_left_alone(system: Steward) -> None:
    """S1-06."""
    anna, bert = person("anna", days_away=40), person("bert", days_away=40)
    system.take_in([anna, bert])
    run = CleanupRun.planned(system)

    system.sign_in(anna.email)
    run.approve()
    view = run.finished()

    assert run.outcomes([anna, bert]) == {anna.email: refused("active_since_plan"), bert.email: DEACTIVATED}
    assert view["reasons"]["active_since_plan"] == 1
    assert system.sign_in(anna.email).get("/api/v1/users").meta["total"] == 1


@pytest.mark.servers
def test_a_user_who_signed_in_after_the_request_was_sent_is_left_alone(native: Native) -> None:
    anna, bert = person("anna", days_away=40), person("bert", days_away=40)
    native.take_in([anna, bert])
    run = CleanupRun.planned(native)
    native.programs[USER_WORKER].pause()

    run.approve()
    wait_until(lambda: requests_published(native, run))
    native.sign_in(anna.email)
    native.programs[USER_WORKER].resume()
    run.finished()

    assert run.outcomes([anna, bert]) == {anna.email: refused("active_since_plan"), bert.email: DEACTIVATED}


def test_a_second_run_is_refused_while_one_is_open(system: Steward) -> None:
    system.take_in([person("anna", days_away=40)])
    first = CleanupRun.planned(system)

    second = system.admin.post(RUNS)
    first.approve()
    first.finished()
    third = CleanupRun.triggered(system)

    assert (second.status, second.error) == (409, "run_in_progress")
    assert third.finished()["status"] == "completed"


def test_the_clients_correlation_id_is_in_every_line_and_event_of_the_run(system: Steward) -> None:
    anna = person("anna", days_away=40)
    system.take_in([anna])
    ours = anna.email.removesuffix("@example.com")

    run = CleanupRun.triggered(system, x_correlation_id=ours)
    run.finished()

    chain = {
        "cleanup.deactivation_requested.v1": CLEANUP,
        "user.deactivated.v1": USER,
        "cleanup.run_completed.v1": CLEANUP,
    }
    for event_type, service in chain.items():
        ids = {event["correlationid"] for event in system.events(service, event_type) if by(event, run)}
        assert ids == {ours}, event_type
    lines = [line for line in system.log() if line.get("correlation_id") == ours]
    assert {line["service"] for line in lines if line["event"] == "request"} == {"gateway"}
    others = [line for line in system.log() if run.id in str(line) and line.get("correlation_id") != ours]
    assert others == []


def by(event: dict[str, Any], run: CleanupRun) -> bool:
    return bool(event["data"]["run_id"] == run.id)


def versions_known_to_cleanup(system: Steward, people: Iterable[Person]) -> dict[str, int]:
    """Return by e-mail address which version of each user cleanup-service has heard of; an event raises it by one."""
    known = {UUID(str(row.user_id)): row.version for row in system.rows(CLEANUP, "SELECT user_id, version FROM users")}
    ids = {row.email: UUID(str(row.id)) for row in system.rows(USER, "SELECT id, email FROM users")}
    return {one.email: known[ids[one.email]] for one in people}


def requests_published(system: Steward, run: CleanupRun) -> bool:
    query = "SELECT count(*) FROM outbox WHERE state = 'published' AND routing_key = :type AND body LIKE :run"
    of_this_run = {"type": "cleanup.deactivation_requested.v1", "run": f"%{run.id}%"}
    return bool(system.value(CLEANUP, query, **of_this_run))
