"""Opaque tokens, exchanged for short-lived access tokens (S2-03, S2-05, S2-36, C-5); and the tokens services call
each other with (S4-59)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from event_contracts import Contract, UserActivityRecorded
from service_chassis.clock import ManualClock
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.waiting import wait_until
from user_service.model.service_client import Scope
from user_service.model.session import Session
from user_service.model.throttle import ADDRESS
from user_service.model.user import User
from user_service.usecases import service_clients

SIGN_IN = "/api/v1/auth/opaque-token"
EXCHANGE = "/internal/tokens/exchange"
TOKEN = "/api/v1/auth/token"
SESSIONS = "/api/v1/auth/sessions"
PASSWORD = "correct horse"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def token(web: FlaskClient, anna: User) -> str:
    response = web.post(SIGN_IN, json={"email": anna.email, "password": PASSWORD})
    assert response.status_code == 201
    return str(response.get_json()["data"]["token"])


def exchange(web: FlaskClient, token: str) -> TestResponse:
    return web.post(EXCHANGE, json={"token": token})


def bearer(web: FlaskClient, token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {exchange(web, token).get_json()['access_token']}"}


def claims(token: str) -> Any:
    return jwt.decode(token, options={"verify_signature": False})


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def test_an_opaque_token_is_exchanged_for_an_access_token_that_lives_a_minute(
    web: FlaskClient, anna: User, token: str
) -> None:
    """S2-03."""
    granted = exchange(web, token).get_json()

    assert granted["expires_in"] == 60
    said = claims(granted["access_token"])
    assert (said["sub"], said["kind"], said["exp"] - said["iat"]) == (str(anna.id), "user", 60)
    assert web.get(SESSIONS, headers=bearer(web, token)).status_code == 200


def test_an_opaque_token_is_stored_as_a_hash(service: Service, token: str) -> None:
    with service.units.read() as uow:
        (session,) = uow.session.scalars(select(Session))

    stored = {column.name: getattr(session, column.name) for column in Session.__table__.columns}
    assert session.token_hash is not None
    assert token.encode() not in b" ".join(str(value).encode() for value in stored.values())


def test_an_opaque_token_that_was_signed_out_is_worth_nothing_at_once(web: FlaskClient, token: str) -> None:
    """S2-05."""
    headers = bearer(web, token)

    web.post("/api/v1/auth/logout", headers=headers)

    assert error(exchange(web, token)) == (401, "invalid_token")
    wait_until(lambda: web.get(SESSIONS, headers=headers).status_code == 401, within=5)


def test_an_opaque_token_dies_with_a_deactivation(web: FlaskClient, admin: FlaskClient, anna: User, token: str) -> None:
    headers = bearer(web, token)
    admin.post(f"/api/v1/users/{anna.id}/deactivate", json={})

    assert error(exchange(web, token)) == (401, "invalid_token")
    wait_until(lambda: web.get(SESSIONS, headers=headers).status_code == 401, within=5)


def test_an_access_token_from_long_before_is_found_by_the_feed_although_the_session_is_old(
    web: FlaskClient, anna: User, token: str, clock: ManualClock, signed_in: Callable[..., FlaskClient]
) -> None:
    clock.advance(timedelta(days=30))
    headers = bearer(web, token)
    signed_in("admin@example.com", "adminpass").post(f"/api/v1/users/{anna.id}/deactivate", json={})

    wait_until(lambda: web.get(SESSIONS, headers=headers).status_code == 401, within=5)


def test_it_is_listed_and_ended_like_any_session(web: FlaskClient, token: str) -> None:
    headers = bearer(web, token)
    (session,) = web.get(SESSIONS, headers=headers).get_json()["data"]

    assert session["kind"] == "opaque"
    assert web.delete(f"{SESSIONS}/{session['id']}", headers=headers).status_code == 200
    assert exchange(web, token).status_code == 401


def test_an_opaque_token_does_not_live_for_ever(web: FlaskClient, token: str, clock: ManualClock) -> None:
    clock.advance(timedelta(days=365))

    assert error(exchange(web, token)) == (401, "invalid_token")


@only_sqlite
def test_garbage_is_exchanged_for_nothing(web: FlaskClient, token: str) -> None:
    for garbage in ("", "garbage", token + "x", token[:-1], "\x00", "ä" * 10_000):
        assert error(exchange(web, garbage)) == (401, "invalid_token")
    for body in (b"", b"[]", b"{}", b'{"token": 7}'):
        assert error(web.post(EXCHANGE, data=body)) == (400, "malformed_json")


def test_exchanges_count_as_activity_once_an_hour(
    web: FlaskClient,
    anna: User,
    token: str,
    clock: ManualClock,
    published: Callable[[type[Contract]], list[Event]],
) -> None:
    noon = clock.now()
    for minutes in (30, 29, 1, 30, 30):
        clock.advance(minutes * MINUTE)
        exchange(web, token)

    told = [(event.data.signal, (event.data.at - noon) // MINUTE) for event in published(UserActivityRecorded)]
    assert told == [("sign_in", 0), ("opaque_token", 60), ("opaque_token", 120)]


def test_an_opaque_sign_in_is_throttled_like_any_other(web: FlaskClient, anna: User) -> None:
    for _ in range(5):
        assert web.post(SIGN_IN, json={"email": anna.email, "password": "wrong"}).status_code == 401

    assert error(web.post(SIGN_IN, json={"email": anna.email, "password": PASSWORD})) == (429, "too_many_attempts")


@only_sqlite
def test_an_opaque_token_is_no_refresh_token(web: FlaskClient, token: str) -> None:
    response = web.post("/api/v1/auth/refresh", json={"refresh_token": token})

    assert error(response) == (401, "invalid_refresh_token")


@pytest.fixture
def secret(service: Service) -> str:
    with service.units.write() as uow:
        return service_clients.create(uow, "cleanup-service", Scope).plain


def grant(web: FlaskClient, secret: str, client_id: str = "cleanup-service") -> TestResponse:
    return web.post(TOKEN, json={"client_id": client_id, "client_secret": secret})


def test_a_service_gets_a_token_of_its_own(web: FlaskClient, service: Service, secret: str) -> None:
    granted = grant(web, secret).get_json()["data"]

    principal = service.make_web().extensions["service_chassis"].verifier.verify(granted["access_token"])
    assert (principal.kind, principal.client_id, principal.role) == ("service", "cleanup-service", None)
    assert granted["expires_in"] == 600


def test_a_service_is_no_user(web: FlaskClient, secret: str, anna: User) -> None:
    headers = {"Authorization": f"Bearer {grant(web, secret).get_json()['data']['access_token']}"}

    assert web.post(f"/api/v1/users/{anna.id}/deactivate", json={}, headers=headers).status_code == 403


def test_a_wrong_secret_and_an_unknown_service_are_refused_alike_and_slowed_down(web: FlaskClient, secret: str) -> None:
    wrong, unknown = grant(web, "wrong"), grant(web, secret, "nobody")

    assert error(wrong) == (401, "invalid_client")
    assert wrong.data == unknown.data
    statuses = [grant(web, "wrong").status_code for _ in range(ADDRESS.free - 1)]
    assert statuses[-1] == 429


def test_a_new_secret_replaces_the_one_before(web: FlaskClient, service: Service, secret: str) -> None:
    with service.units.write() as uow:
        renewed = service_clients.create(uow, "cleanup-service", Scope).plain

    assert grant(web, secret).status_code == 401
    assert grant(web, renewed).status_code == 200
