from datetime import timedelta
from typing import Any

import pytest
from marshmallow import Schema, fields
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.http import Blueprint, allowed, caller, caller_if_any, public
from service_chassis.ids import uuid7
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial
from service_chassis.tokens import Principal

pytestmark = only_sqlite

doors = Blueprint("doors", __name__, url_prefix="/api/v1/doors")


class Body(Schema):
    name = fields.String(required=True)


class Seen(Schema):
    subject = fields.UUID(allow_none=True)


def may_open_doors(caller: Principal) -> bool:
    return caller.role == "admin"


@doors.route("/plain", methods=["GET", "POST"])
@doors.response(200, Seen)
def plain() -> Principal:
    return caller()


@doors.route("/public", methods=["GET", "POST"])
@doors.response(200, Seen)
@public
def open_door() -> dict[str, Any]:
    return {}


@doors.route("/either")
@doors.response(200, Seen)
@public
def either_way() -> Any:
    return caller_if_any() or {"subject": None}


@doors.route("/guarded", methods=["GET", "POST"])
@doors.response(200)
@allowed(may_open_doors)
def guarded() -> None: ...


@doors.route("/guarded-with-body", methods=["POST"])
@allowed(may_open_doors)
@doors.arguments(Body)
@doors.response(200)
def guarded_outermost(body: dict[str, Any]) -> None: ...


@doors.route("/guarded-after-body", methods=["POST"])
@doors.arguments(Body)
@doors.response(200)
@allowed(may_open_doors)
def guarded_innermost(body: dict[str, Any]) -> None: ...


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    return Trial(database, clock, doors)


def knock(trial: Trial, authorization: str | None) -> TestResponse:
    headers = {} if authorization is None else {"Authorization": authorization}
    return trial.client(role=None).get("/api/v1/doors/plain", headers=headers)


def outcome(response: TestResponse) -> tuple[int, Any]:
    assert response.json is not None
    return response.status_code, response.json["error"]


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer a b", "Basic YTpi", "Token abc", "Bearer ä", "Bearer\ta"]
)
def test_a_route_needs_a_bearer_token_unless_its_view_says_otherwise(trial: Trial, authorization: str | None) -> None:
    response = knock(trial, authorization)

    assert outcome(response) == (401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_that_is_none_is_refused(trial: Trial) -> None:
    response = knock(trial, "Bearer no-token")

    assert outcome(response) == (401, "invalid_token")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_an_expired_token_is_refused_although_it_was_good_before(trial: Trial, clock: ManualClock) -> None:
    authorization = f"Bearer {trial.callers.token()}"
    assert knock(trial, authorization).status_code == 200

    clock.advance(timedelta(hours=2))

    assert outcome(knock(trial, authorization)) == (401, "token_expired")


def test_the_scheme_is_read_in_any_case(trial: Trial) -> None:
    assert knock(trial, f"bEARER {trial.callers.token()}").status_code == 200


def test_the_view_is_told_who_calls(trial: Trial) -> None:
    somebody = uuid7()

    answer = trial.client(subject=somebody).get("/api/v1/doors/plain").json

    assert answer is not None
    assert answer["data"] == {"subject": str(somebody)}


@pytest.mark.parametrize(
    "name", ["X-User-Id", "x_user_id", "X-USER-ID", "X-Forwarded-User", "X-Role", "X-Auth-Subject"]
)
def test_headers_that_claim_to_know_the_caller_are_not_read(trial: Trial, name: str) -> None:
    somebody = uuid7()

    without_token = trial.client(role=None).get("/api/v1/doors/plain", headers={name: str(somebody)})
    with_token = trial.client(subject=somebody).get("/api/v1/doors/plain", headers={name: str(uuid7())})

    assert without_token.status_code == 401
    assert with_token.json is not None
    assert with_token.json["data"] == {"subject": str(somebody)}


def test_a_public_view_looks_at_no_token(trial: Trial) -> None:
    client = trial.client(role=None)

    assert client.get("/api/v1/doors/public").status_code == 200
    assert client.get("/api/v1/doors/public", headers={"Authorization": "Bearer old"}).status_code == 200


def test_a_public_view_may_ask_who_calls_if_anybody_says_so(trial: Trial) -> None:
    somebody = uuid7()

    nobody = trial.client(role=None).get("/api/v1/doors/either")
    known = trial.client(subject=somebody).get("/api/v1/doors/either")
    forged = trial.client(role=None).get("/api/v1/doors/either", headers={"Authorization": "Bearer forged"})

    assert nobody.json is not None
    assert known.json is not None
    assert nobody.json["data"] == {"subject": None}
    assert known.json["data"] == {"subject": str(somebody)}
    assert outcome(forged) == (401, "invalid_token")


def test_the_tokens_of_an_ended_session_are_refused_at_once(trial: Trial) -> None:
    session = uuid7()
    client = trial.client(session_id=session)
    assert client.get("/api/v1/doors/plain").status_code == 200

    trial.callers.end(session)

    assert outcome(client.get("/api/v1/doors/plain")) == (401, "session_ended")
    assert trial.client().get("/api/v1/doors/plain").status_code == 200


def test_a_permission_is_needed_where_the_view_names_one(trial: Trial) -> None:
    refused = trial.client("user").get("/api/v1/doors/guarded")

    assert outcome(refused) == (403, "forbidden")
    assert "may_open_doors" in refused.text
    assert trial.client("admin").get("/api/v1/doors/guarded").status_code == 200


@pytest.mark.parametrize("path", ["guarded-with-body", "guarded-after-body"])
def test_the_permission_is_asked_before_the_body_is_looked_at(trial: Trial, path: str) -> None:
    refused = trial.client("user").post(f"/api/v1/doors/{path}", data="{")
    let_in = trial.client("admin").post(f"/api/v1/doors/{path}", json={})

    assert outcome(refused) == (403, "forbidden")
    assert outcome(let_in) == (400, "validation_failed")


def test_without_news_of_ended_sessions_reads_go_on_and_the_rest_waits(trial: Trial) -> None:
    admin = trial.client("admin")
    trial.callers.lose_the_feed()

    assert admin.get("/api/v1/doors/plain").status_code == 200
    assert outcome(admin.post("/api/v1/doors/plain")) == (503, "revocations_stale")
    assert outcome(admin.get("/api/v1/doors/guarded")) == (503, "revocations_stale")
    assert admin.post("/api/v1/doors/plain").headers["Retry-After"] == "1"


def test_public_views_need_no_news_of_ended_sessions(trial: Trial) -> None:
    trial.callers.lose_the_feed()

    assert trial.client(role=None).post("/api/v1/doors/public").status_code == 200


def test_what_is_not_there_is_not_found_by_anybody(trial: Trial) -> None:
    assert outcome(trial.client(role=None).get("/api/v1/nowhere")) == (404, "not_found")
