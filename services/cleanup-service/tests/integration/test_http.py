from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cleanup_service.model.policy import Policy
from cleanup_service.persistence.unit_of_work import UnitOfWork
from cleanup_service.usecases import runs
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial
from service_chassis.unit_of_work import Units

RUNS = "/api/v1/cleanup/runs"
REPORTS = "/api/v1/reports"
NOBODY = f"{RUNS}/{uuid4()}"


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def data(response: TestResponse) -> Any:
    assert response.status_code in {200, 202}, response.get_json()
    return response.get_json()["data"]


@pytest.fixture
def admin(trial: Trial) -> FlaskClient:
    return trial.client("admin")


class Worker:
    """Takes the steps of a run that are due, as the scheduler of a worker does."""

    def __init__(self, units: Units[UnitOfWork], policy: Policy, clock: ManualClock, user_service: Any) -> None:
        self._units = units
        self.policy = policy
        self._clock = clock
        self._user_service = user_service

    def plans(self) -> None:
        self._clock.advance(timedelta(seconds=1))
        self._user_service.says_where_it_is()
        self.goes_on()

    def goes_on(self) -> None:
        more = True
        while more:
            with self._units.write() as uow:
                more = runs.advance(uow, self.policy)

    def finishes(self, refusals: dict[Any, str] | None = None) -> None:
        self.plans()
        self._user_service.answers(refusals)
        self._clock.advance(timedelta(seconds=1))
        self.goes_on()


@pytest.fixture
def worker(units: Units[UnitOfWork], policy: Policy, clock: ManualClock, user_service: Any) -> Worker:
    return Worker(units, policy, clock, user_service)


def test_a_triggered_run_can_be_followed_to_its_report(
    admin: FlaskClient, trial: Trial, worker: Worker, user_service: Any, clock: ManualClock
) -> None:
    """S1-08, S0-21."""
    anna, bert = user_service.has(days_inactive=40, count=2)
    user_service.has(days_inactive=1)
    cutoff = (clock.now() - timedelta(days=30)).isoformat()

    response = admin.post(RUNS, json={})
    triggered = data(response)
    assert (response.status_code, triggered["status"]) == (202, "planned")
    assert triggered["status_url"] == f"{RUNS}/{triggered['id']}"
    worker.plans()
    user_service.answers(only=[anna])
    running = data(admin.get(triggered["status_url"]))
    assert (running["status"], running["candidates"], running["deactivated"]) == ("running", 2, 1)
    user_service.answers({bert: "active_since_plan"})
    worker.goes_on()

    finished = data(admin.get(triggered["status_url"]))
    assert (finished["status"], finished["deactivated"], finished["refused"], finished["failed"]) == (
        "completed",
        1,
        1,
        0,
    )
    assert finished["reasons"] == {"active_since_plan": 1}
    report = data(admin.get(f"{REPORTS}/latest"))
    assert report == {
        "id": finished["report_id"],
        "run_id": triggered["id"],
        "timestamp": finished["completed_at"],
        "status": "completed",
        "mode": "deactivate",
        "trigger": "manual",
        "requested_by": finished["requested_by"],
        "threshold_days": 30,
        "cutoff": cutoff,
        "candidates": 2,
        "users_deleted": 1,
        "users_deactivated": 1,
        "users_purged": 0,
        "users_refused": 1,
        "users_failed": 0,
        "active_users_remaining": 2,
        "duration_ms": 1000,
        "error": None,
    }


def test_a_run_names_who_asked_for_it(trial: Trial) -> None:
    caller = uuid7()
    client = trial.client("admin", subject=caller)

    triggered = data(client.post(RUNS))

    assert data(client.get(triggered["status_url"]))["requested_by"] == str(caller)


def test_a_second_run_at_a_time_is_refused(admin: FlaskClient, worker: Worker) -> None:
    first = data(admin.post(RUNS))

    assert error(admin.post(RUNS)) == (409, "run_in_progress")

    worker.plans()
    assert data(admin.post(RUNS))["id"] != first["id"]


def test_a_trigger_repeated_under_its_key_starts_one_run(admin: FlaskClient) -> None:
    first, again = (admin.post(RUNS, json={}, headers={"Idempotency-Key": "one"}) for _ in range(2))

    assert (again.status_code, again.data) == (202, first.data)
    assert data(admin.get(RUNS))[0]["id"] == data(first)["id"]


def test_a_trigger_may_bring_its_own_threshold(admin: FlaskClient, worker: Worker, user_service: Any) -> None:
    user_service.has(days_inactive=40)
    user_service.has(days_inactive=100)

    url = data(admin.post(RUNS, json={"threshold_days": 90}))["status_url"]
    worker.plans()

    assert (data(admin.get(url))["threshold_days"], data(admin.get(url))["candidates"]) == (90, 1)


def test_a_run_that_needs_approval_goes_on_when_an_admin_approves(
    admin: FlaskClient, trial: Trial, worker: Worker, user_service: Any
) -> None:
    user_service.has(days_inactive=40, count=2)
    url = data(admin.post(RUNS, json={"expect_up_to": 1}))["status_url"]
    assert error(admin.post(f"{url}/approve")) == (409, "not_awaiting_approval")
    worker.plans()
    waiting = data(admin.get(url))
    assert (waiting["status"], waiting["objection"]) == ("awaiting_approval", "2 users, more than the 1 expected.")

    approved = admin.post(f"{url}/approve")

    assert (data(approved)["status"], approved.get_json()["message"]) == ("running", "Run approved")
    worker.goes_on()
    user_service.answers()
    worker.goes_on()
    assert data(admin.get(url))["deactivated"] == 2


def test_a_rejected_run_switches_nobody_off_and_makes_room_for_the_next(
    admin: FlaskClient, worker: Worker, user_service: Any
) -> None:
    user_service.has(days_inactive=40, count=2)
    url = data(admin.post(RUNS, json={"expect_up_to": 1}))["status_url"]
    worker.plans()

    rejected = data(admin.post(f"{url}/reject"))

    assert (rejected["status"], rejected["error"], rejected["failed"]) == ("failed", "rejected", 2)
    assert data(admin.get(url))["reasons"] == {"rejected": 2}
    assert error(admin.post(f"{url}/reject")) == (409, "not_awaiting_approval")
    assert admin.post(RUNS).status_code == 202


def test_members_are_listed_with_evidence_and_outcome(
    admin: FlaskClient, worker: Worker, user_service: Any, clock: ManualClock
) -> None:
    users = sorted(user_service.has(days_inactive=40, count=5))
    seen = (clock.now() - timedelta(days=40)).isoformat()
    url = data(admin.post(RUNS))["status_url"]
    worker.finishes({users[0]: "last_admin"})

    first = admin.get(f"{url}/members", query_string={"cursor": "", "limit": 3})
    cursor = first.get_json()["meta"]["next_cursor"]
    rest = admin.get(f"{url}/members", query_string={"cursor": cursor, "limit": 3})

    listed = data(first) + data(rest)
    assert [member["user_id"] for member in listed] == [str(user) for user in users]
    assert {member["last_activity_at"] for member in listed} == {seen}
    assert (listed[0]["outcome"], listed[0]["reason"]) == ("refused", "last_admin")
    assert (listed[1]["outcome"], listed[1]["reason"]) == ("deactivated", None)
    assert (first.get_json()["meta"]["total"], rest.get_json()["meta"]["next_cursor"]) == (5, None)


def test_runs_and_reports_are_listed_newest_first(admin: FlaskClient, worker: Worker) -> None:
    finished = []
    for _ in range(3):
        finished.append(data(admin.post(RUNS))["id"])
        worker.plans()
    still_open = data(admin.post(RUNS))["id"]

    all_runs, reports = admin.get(RUNS, query_string={"limit": 3}), admin.get(REPORTS, query_string={"limit": 2})

    assert [run["id"] for run in data(all_runs)] == [still_open, finished[2], finished[1]]
    assert [report["run_id"] for report in data(reports)] == [finished[2], finished[1]]
    assert all_runs.get_json()["meta"] == {
        "total": 4,
        "limit": 3,
        "page": 1,
        "total_pages": 2,
        "has_next": True,
        "has_previous": False,
    }
    assert reports.get_json()["meta"]["total"] == 3
    second_page = admin.get(REPORTS, query_string={"limit": 2, "page": 2})
    assert [report["run_id"] for report in data(second_page)] == [finished[0]]
    assert data(admin.get(f"{REPORTS}/latest"))["run_id"] == finished[2]


def test_before_the_first_run_there_is_no_report(admin: FlaskClient) -> None:
    response = admin.get(f"{REPORTS}/latest")

    assert error(response) == (404, "no_report")
    assert response.get_json()["message"] == "No cleanup reports available."
    assert (data(admin.get(REPORTS)), admin.get(REPORTS).get_json()["meta"]["total"]) == ([], 0)


def test_a_run_that_failed_has_a_report_and_is_the_latest(
    admin: FlaskClient, worker: Worker, clock: ManualClock
) -> None:
    run_id = data(admin.post(RUNS))["id"]
    clock.advance(timedelta(minutes=6))
    worker.goes_on()

    report = data(admin.get(f"{REPORTS}/latest"))

    assert (report["run_id"], report["status"], report["error"]) == (run_id, "failed", "no_watermark")


@only_sqlite
@pytest.mark.parametrize(("role", "reads", "acts"), [("admin", 404, 202), ("manager", 404, 403), ("user", 403, 403)])
def test_managers_read_and_admins_act(trial: Trial, role: str, reads: int, acts: int) -> None:
    client = trial.client(role)

    assert client.get(f"{REPORTS}/latest").status_code == reads
    assert client.get(NOBODY).status_code == client.get(f"{NOBODY}/members").status_code == reads
    assert client.get(RUNS).status_code == client.get(REPORTS).status_code == (403 if reads == 403 else 200)
    assert client.post(f"{NOBODY}/approve").status_code == (404 if acts == 202 else 403)
    assert client.post(RUNS).status_code == acts


@only_sqlite
def test_strangers_are_asked_who_they_are(trial: Trial) -> None:
    client = trial.client(None)

    for path in (RUNS, NOBODY, f"{NOBODY}/members", REPORTS, f"{REPORTS}/latest"):
        assert error(client.get(path)) == (401, "unauthenticated")
    for path in (RUNS, f"{NOBODY}/approve"):
        assert error(client.post(path)) == (401, "unauthenticated")


@only_sqlite
def test_nothing_is_changed_or_read_by_who_may_have_signed_out(trial: Trial) -> None:
    client = trial.client("admin")

    trial.callers.lose_the_feed()

    assert error(client.post(RUNS)) == (503, "revocations_stale")
    assert error(client.get(REPORTS)) == (503, "revocations_stale")


@only_sqlite
@pytest.mark.parametrize(
    "body",
    [
        {"threshold_days": 0},
        {"threshold_days": -1},
        {"threshold_days": 36_501},
        {"threshold_days": "30"},
        {"threshold_days": 30.5},
        {"threshold_days": None},
        {"expect_up_to": -1},
        {"expect_up_to": 2**31},
        {"expect_up_to": True},
        {"dry_run": True},
    ],
    ids=str,
)
def test_a_trigger_that_makes_no_sense_is_refused_by_name(admin: FlaskClient, body: dict[str, Any]) -> None:
    response = admin.post(RUNS, json=body)

    assert error(response) == (400, "validation_failed")
    assert list(response.get_json()["data"]["errors"]) == list(body)
    assert data(admin.get(RUNS)) == []


@only_sqlite
def test_what_is_no_request_is_refused(admin: FlaskClient) -> None:
    json = "application/json"

    assert error(admin.post(RUNS, data=b"{", content_type=json)) == (400, "malformed_json")
    assert error(admin.post(RUNS, data=b"[]", content_type=json)) == (400, "validation_failed")
    assert error(admin.post(RUNS, data=b"{}", content_type="text/plain")) == (415, "unsupported_media_type")
    assert error(admin.post(RUNS, data=b" " * 1_048_577, content_type=json)) == (413, "body_too_large")
    assert error(admin.get(f"{RUNS}/7")) == (404, "not_found")
    assert error(admin.get(f"{RUNS}?colour=red")) == (400, "validation_failed")
    assert error(admin.get(f"{RUNS}?cursor=bm9ib2R5")) == (400, "invalid_cursor")
    assert error(admin.delete(RUNS)) == (405, "method_not_allowed")
