from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.waiting import wait_until
from user_service.model.user import User
from user_service.usecases import revocations, sign_in
from user_service.usecases.tokens import TokenPair

HOUR = timedelta(hours=1)
PASSWORD = "correct horse"


@pytest.fixture
def tokens(service: Service, anna: User) -> TokenPair:
    pair: TokenPair = service.parts.sign_in(anna.email, PASSWORD)
    return pair


def session_id(tokens: TokenPair) -> str:
    return str(jwt.decode(tokens.access_token, options={"verify_signature": False})["sid"])


def feed(web: FlaskClient, after: str | None = None) -> Any:
    query = {} if after is None else {"after": after}
    response = web.get("/internal/revocations", query_string=query)
    assert response.status_code == 200, response.text
    return response.get_json()


def sids(answer: Any) -> list[str]:
    return [entry["sid"] for entry in answer["entries"]]


def ask(web: FlaskClient, tokens: TokenPair) -> TestResponse:
    return web.get("/api/v1/users", headers={"Authorization": f"Bearer {tokens.access_token}"})


def log_out(web: FlaskClient, tokens: TokenPair) -> None:
    response = web.post("/api/v1/auth/logout", headers={"Authorization": f"Bearer {tokens.access_token}"})
    assert response.status_code == 200


def test_a_session_that_ended_is_told_for_as_long_as_its_tokens_might_live(
    web: FlaskClient, tokens: TokenPair, clock: ManualClock
) -> None:
    assert feed(web)["entries"] == []
    log_out(web, tokens)

    (entry,) = feed(web)["entries"]
    clock.advance(HOUR)

    assert entry["sid"] == session_id(tokens)
    assert datetime.fromisoformat(entry["expires_at"]) == clock.now()
    assert feed(web)["entries"] == []


def test_an_answer_repeats_what_ended_shortly_before_the_last_one(
    web: FlaskClient, tokens: TokenPair, clock: ManualClock
) -> None:
    log_out(web, tokens)
    clock.advance(revocations.OVERLAP)
    soon = feed(web)["cursor"]
    clock.advance(timedelta(seconds=1))
    later = feed(web)["cursor"]

    assert sids(feed(web, after=soon)) == [session_id(tokens)]
    assert sids(feed(web, after=later)) == []


def test_a_session_whose_end_is_committed_late_is_not_missed(
    web: FlaskClient, service: Service, tokens: TokenPair, clock: ManualClock
) -> None:
    with service.units.write() as uow:
        sign_in.sign_out(uow, jwt_sid(tokens), tokens_live=HOUR)
        uow.session.flush()
        clock.advance(timedelta(seconds=30))
        early = feed(web)

    assert sids(early) == []
    assert sids(feed(web, after=early["cursor"])) == [session_id(tokens)]


def jwt_sid(tokens: TokenPair) -> UUID:
    return UUID(session_id(tokens))


def test_an_access_token_is_refused_once_the_end_of_its_session_was_polled(
    web: FlaskClient, tokens: TokenPair, service: Service, anna: User
) -> None:
    elsewhere = service.parts.sign_in(anna.email, PASSWORD)
    assert ask(web, tokens).status_code == 200

    log_out(web, tokens)

    refused = wait_until(lambda: next((r for r in [ask(web, tokens)] if r.status_code == 401), None), within=5)
    assert refused.get_json()["error"] == "session_ended"
    assert ask(web, elsewhere).status_code == 200


def test_a_deactivation_ends_all_sessions_for_every_process_that_polls(
    admin: FlaskClient, service: Service, anna: User, new_web: Callable[[], FlaskClient]
) -> None:
    both = [service.parts.sign_in(anna.email, PASSWORD) for _ in range(2)]
    admin.post(f"/api/v1/users/{anna.id}/deactivate", json={})

    another = new_web()

    assert [ask(another, tokens).get_json()["error"] for tokens in both] == ["session_ended"] * 2


def test_tokens_from_before_a_deactivation_stay_dead_after_the_reactivation(
    admin: FlaskClient, service: Service, anna: User, tokens: TokenPair, new_web: Callable[[], FlaskClient]
) -> None:
    admin.post(f"/api/v1/users/{anna.id}/deactivate", json={})
    admin.post(f"/api/v1/users/{anna.id}/reactivate", json={})

    another = new_web()

    assert ask(another, tokens).status_code == 401
    assert ask(another, service.parts.sign_in(anna.email, PASSWORD)).status_code == 200


@only_sqlite
def test_a_position_nobody_gave_out_is_refused(web: FlaskClient) -> None:
    for after in ("", "yesterday", "7", "2030-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00"):
        response = web.get("/internal/revocations", query_string={"after": after})

        assert (response.status_code, response.get_json()["error"]) == (400, "invalid_cursor"), after


def test_what_no_verifier_needs_any_more_is_deleted(
    web: FlaskClient, service: Service, tokens: TokenPair, clock: ManualClock
) -> None:
    log_out(web, tokens)
    first = feed(web)["cursor"]
    clock.advance(HOUR + timedelta(days=7))
    with service.units.write() as uow:
        revocations.forget(uow)

    with service.units.read() as uow:
        assert uow.sessions.revocations(None, datetime.fromisoformat(first)) == []
        assert uow.sessions.get(jwt_sid(tokens)) is None


def test_what_verifiers_still_need_is_kept(
    web: FlaskClient, service: Service, tokens: TokenPair, clock: ManualClock
) -> None:
    log_out(web, tokens)
    clock.advance(HOUR - timedelta(seconds=1))
    with service.units.write() as uow:
        revocations.forget(uow)

    assert sids(feed(web)) == [session_id(tokens)]
