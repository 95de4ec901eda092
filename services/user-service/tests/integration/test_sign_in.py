from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from event_contracts import Contract, UserActivityRecorded
from service_chassis.clock import ManualClock
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.errors import InvalidCredentials
from user_service.model.passwords import Passwords
from user_service.model.session import Session
from user_service.model.user import User
from user_service.usecases import lifecycle
from user_service.usecases.sign_in import Gate, SignIn

PASSWORD = "correct horse"
DJANGO_HASH = "pbkdf2_sha256$1000$seasalt$GYPsLisEsszbHrPGSLZAUayJhTbiptdVv+vkyMFr7GY="
"""Of the password `corréct horse`, as Django 5.2 made it."""
GRACE = timedelta(seconds=10)


def login(web: FlaskClient, email: str = "anna@example.com", password: str = PASSWORD) -> TestResponse:
    return web.post("/api/v1/auth/login", json={"email": email, "password": password})


def refresh(web: FlaskClient, token: str) -> TestResponse:
    return web.post("/api/v1/auth/refresh", json={"refresh_token": token})


def data(response: TestResponse) -> Any:
    assert response.json is not None
    assert response.status_code == 200, response.json
    return response.json["data"]


def error(response: TestResponse) -> tuple[int, str]:
    assert response.json is not None
    return response.status_code, response.json["error"]


def sessions(service: Service) -> list[Session]:
    with service.units.read() as uow:
        return list(uow.session.scalars(select(Session)))


def test_who_knows_the_password_gets_tokens_that_open_the_doors(web: FlaskClient, anna: User) -> None:
    """S0-01, S4-03, S4-06."""
    tokens = data(login(web))

    profile = web.get(f"/api/v1/users/{anna.id}", headers={"Authorization": f"Bearer {tokens['access_token']}"})

    assert data(profile)["email"] == "anna@example.com"
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)
    assert tokens["user"]["id"] == str(anna.id)
    assert "password_hash" not in tokens["user"]


def test_a_sign_in_is_noted_and_told(
    web: FlaskClient,
    anna: User,
    clock: ManualClock,
    state_of: Callable[[User], User],
    published: Callable[[type[Contract]], list[Event]],
) -> None:
    """S0-02."""
    clock.advance(timedelta(days=1))

    login(web)

    assert (state_of(anna).last_login_at, state_of(anna).last_activity_at) == (clock.now(), clock.now())
    (event,) = published(UserActivityRecorded)
    assert (event.data.user_id, event.data.at, event.data.signal) == (anna.id, clock.now(), "sign_in")


@only_sqlite
def test_an_address_is_known_in_any_spelling(web: FlaskClient, anna: User) -> None:
    assert login(web, " Anna@EXAMPLE.com ").status_code == 200


@only_sqlite
def test_a_failed_sign_in_does_not_say_why_and_is_no_activity(
    web: FlaskClient, anna: User, clock: ManualClock, state_of: Callable[[User], User]
) -> None:
    clock.advance(timedelta(days=1))

    answers = [
        login(web, **wrong)
        for wrong in (
            {"password": "wrong"},
            {"password": ""},
            {"email": "nobody@example.com"},
            {"email": "no address"},
        )
    ]

    assert [error(answer) for answer in answers] == [(401, "invalid_credentials")] * 4
    assert len({answer.data for answer in answers}) == 1
    assert state_of(anna).last_activity_at == anna.last_activity_at


def test_a_deactivated_user_is_refused_like_a_stranger(web: FlaskClient, admin: FlaskClient, anna: User) -> None:
    admin.post(f"/api/v1/users/{anna.id}/deactivate", json={})

    assert error(login(web)) == (401, "invalid_credentials")


@only_sqlite
def test_a_user_without_a_password_cannot_sign_in(web: FlaskClient, service: Service, anna: User) -> None:
    with service.units.write() as uow:
        uow.users.get(anna.id).password_hash = None

    assert error(login(web, password="nobody has this password")) == (401, "invalid_credentials")


def test_a_user_another_system_brought_signs_in_and_gets_a_hash_of_ours(
    web: FlaskClient, service: Service, anna: User, state_of: Callable[[User], User]
) -> None:
    with service.units.write() as uow:
        uow.users.get(anna.id).password_hash = DJANGO_HASH

    assert login(web, password="corréct horse").status_code == 200

    assert str(state_of(anna).password_hash).startswith("$argon2id$")
    assert login(web, password="corréct horse").status_code == 200


@only_sqlite
def test_a_hash_of_ours_stays_as_it_is(web: FlaskClient, anna: User, state_of: Callable[[User], User]) -> None:
    login(web)

    assert state_of(anna).password_hash == anna.password_hash


class Interrupted(Passwords):
    """Lets something happen after a password was checked and before anybody knows the result."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__(memory_kib=8, passes=1)
        self._meanwhile = meanwhile

    def matches(self, password: str, stored: str | None) -> bool:
        matches = super().matches(password, stored)
        self._meanwhile()
        return matches


@pytest.mark.parametrize("change", ["deactivation", "another password"])
def test_what_happens_while_the_password_is_checked_is_not_overlooked(
    service: Service, anna: User, change: str
) -> None:
    def meanwhile() -> None:
        with service.units.write() as uow:
            if change == "deactivation":
                lifecycle.deactivate(uow, anna.id, "", by=anna.id, tokens_live=timedelta(hours=1))
            else:
                uow.users.get(anna.id).password_hash = service.parts.passwords.hash("another")

    parts = service.parts
    gate = Gate(parts.attempts, require_verified_email=False)
    sign_in = SignIn(service.units, Interrupted(meanwhile), parts.tokens, gate, service.log)

    with pytest.raises(InvalidCredentials):
        sign_in("anna@example.com", PASSWORD)

    assert sessions(service) == []


def test_a_refresh_token_yields_new_tokens_of_the_same_session(web: FlaskClient, anna: User) -> None:
    """S4-08."""
    first = data(login(web))

    second = data(refresh(web, first["refresh_token"]))

    assert second["refresh_token"] != first["refresh_token"]
    assert session_id(second) == session_id(first)
    assert data(refresh(web, second["refresh_token"]))["user"]["id"] == str(anna.id)


def session_id(tokens: dict[str, Any]) -> str:
    return str(jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"])


@pytest.mark.parametrize("later", [timedelta(0), GRACE])
def test_a_token_used_again_within_the_grace_yields_the_same_successor(
    web: FlaskClient, anna: User, clock: ManualClock, later: timedelta
) -> None:
    first = data(login(web))["refresh_token"]
    successor = data(refresh(web, first))["refresh_token"]
    clock.advance(later)

    assert data(refresh(web, first))["refresh_token"] == successor
    assert refresh(web, successor).status_code == 200


def test_a_token_used_again_after_the_grace_ends_the_session_although_the_request_fails(
    web: FlaskClient, anna: User, clock: ManualClock, service: Service
) -> None:
    """S4-08."""
    tokens = data(login(web))
    successor = data(refresh(web, tokens["refresh_token"]))["refresh_token"]
    clock.advance(GRACE + timedelta(seconds=1))

    assert error(refresh(web, tokens["refresh_token"])) == (401, "refresh_token_reused")

    assert error(refresh(web, successor)) == (401, "invalid_refresh_token")
    assert [session.end_reason for session in sessions(service)] == ["refresh_token_reused"]
    revoked = web.get("/internal/revocations").get_json()["entries"]
    assert [entry["sid"] for entry in revoked] == [session_id(tokens)]


@only_sqlite
def test_a_token_two_steps_old_is_refused_within_the_grace_and_the_session_goes_on(
    web: FlaskClient, anna: User, clock: ManualClock
) -> None:
    """S4-08, C-42."""
    first = data(login(web))["refresh_token"]
    second = data(refresh(web, first))["refresh_token"]
    third = data(refresh(web, second))["refresh_token"]
    clock.advance(GRACE)

    assert error(refresh(web, first)) == (401, "invalid_refresh_token")

    assert refresh(web, third).status_code == 200


@only_sqlite
@pytest.mark.parametrize(("steps", "later"), [(3, timedelta(0)), (2, GRACE + timedelta(seconds=1))])
def test_a_token_older_than_two_steps_or_than_the_grace_ends_the_session(
    web: FlaskClient, anna: User, clock: ManualClock, steps: int, later: timedelta
) -> None:
    """S4-08, C-42."""
    tokens = [data(login(web))["refresh_token"]]
    for _ in range(steps):
        tokens.append(data(refresh(web, tokens[-1]))["refresh_token"])
    clock.advance(later)

    assert error(refresh(web, tokens[0])) == (401, "refresh_token_reused")

    assert error(refresh(web, tokens[-1])) == (401, "invalid_refresh_token")


@only_sqlite
def test_a_refresh_token_dies_with_the_session_it_belongs_to(web: FlaskClient, anna: User, clock: ManualClock) -> None:
    token = data(login(web))["refresh_token"]

    clock.advance(timedelta(minutes=1440))

    assert error(refresh(web, token)) == (401, "invalid_refresh_token")


def test_who_was_deactivated_cannot_refresh(web: FlaskClient, admin: FlaskClient, anna: User) -> None:
    token = data(login(web))["refresh_token"]
    admin.post(f"/api/v1/users/{anna.id}/deactivate", json={})

    assert error(refresh(web, token)) == (401, "invalid_refresh_token")


@only_sqlite
def test_garbage_refreshes_nothing(web: FlaskClient) -> None:
    for token in ("", "garbage", "ä", "A" * 75, "A" * 500):
        assert error(refresh(web, token)) == (401, "invalid_refresh_token")


def test_signing_out_ends_the_session_and_no_other(
    web: FlaskClient, anna: User, signed_in: Callable[..., FlaskClient], service: Service
) -> None:
    """S2-05, S4-07."""
    elsewhere = data(login(web))["refresh_token"]
    tokens = data(login(web))

    response = web.post("/api/v1/auth/logout", headers={"Authorization": f"Bearer {tokens['access_token']}"})

    assert (response.status_code, response.get_json()["message"]) == (200, "Signed out")
    assert error(refresh(web, tokens["refresh_token"])) == (401, "invalid_refresh_token")
    assert refresh(web, elsewhere).status_code == 200
    assert sorted(str(session.end_reason) for session in sessions(service)) == ["None", "logout"]


def test_refreshes_count_as_activity_and_are_told_once_in_every_hour_of_the_clock(
    web: FlaskClient,
    anna: User,
    clock: ManualClock,
    state_of: Callable[[User], User],
    published: Callable[[type[Contract]], list[Event]],
) -> None:
    token = data(login(web))["refresh_token"]
    noon = clock.now()

    for minutes in (30, 29, 2, 57, 2, 21 * 60):
        clock.advance(timedelta(minutes=minutes))
        token = data(refresh(web, token))["refresh_token"]
        assert state_of(anna).last_activity_at == clock.now()

    told = [
        (event.data.signal, (event.data.at - noon) / timedelta(minutes=1)) for event in published(UserActivityRecorded)
    ]
    assert told == [("sign_in", 0), ("refresh", 61), ("refresh", 120), ("refresh", 23 * 60)]


def test_refreshes_in_one_minute_are_noted_as_one(
    web: FlaskClient, anna: User, clock: ManualClock, state_of: Callable[[User], User]
) -> None:
    token = data(login(web))["refresh_token"]
    signed_in_at = clock.now()

    clock.advance(timedelta(seconds=59))
    token = data(refresh(web, token))["refresh_token"]
    assert state_of(anna).last_activity_at == signed_in_at
    clock.advance(timedelta(seconds=1))
    data(refresh(web, token))

    assert state_of(anna).last_activity_at == clock.now()


def test_fifty_refreshes_of_one_token_at_once_are_one_step_and_one_successor(
    web: FlaskClient, anna: User, service: Service
) -> None:
    token = data(login(web))["refresh_token"]

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(lambda _: refresh(web.application.test_client(), token), range(50)))

    assert len({data(answer)["refresh_token"] for answer in answers}) == 1
    (session,) = sessions(service)
    assert (session.counter, session.ended_at) == (1, None)


@only_sqlite
def test_a_token_that_says_more_than_its_session_knows_is_refused(
    web: FlaskClient, anna: User, service: Service
) -> None:
    token = data(login(web))["refresh_token"]
    with service.units.write() as uow:
        uow.session.execute(update(Session).values(secret=b"another secret"))

    assert error(refresh(web, token)) == (401, "invalid_refresh_token")


@pytest.mark.parametrize("typed", ["anna@xn--mnchen-3ya.de", "Anna@m\u00fcnchen.DE"], ids=["ascii", "unicode"])
def test_a_mailbox_may_be_written_in_either_spelling(
    web: FlaskClient, anna: User, service: Service, typed: str
) -> None:
    with service.units.write() as uow:
        uow.users.get(anna.id).email = "anna@m\u00fcnchen.de"

    assert login(web, typed).status_code == 200


def test_of_two_spellings_from_before_each_signs_in_with_the_own(
    web: FlaskClient, anna: User, new_user: Callable[..., User], service: Service
) -> None:
    bert = new_user("bert")
    with service.units.write() as uow:
        uow.users.get(anna.id).email = "shop@m\u00fcnchen.de"
        uow.users.get(bert.id).email = "shop@xn--mnchen-3ya.de"

    signed_in = [
        data(login(web, f"shop@{domain}"))["user"]["id"] for domain in ("m\u00fcnchen.de", "xn--mnchen-3ya.de")
    ]

    assert signed_in == [str(anna.id), str(bert.id)]


def test_an_address_from_before_that_is_none_today_still_signs_in(
    web: FlaskClient, anna: User, service: Service
) -> None:
    with service.units.write() as uow:
        uow.users.get(anna.id).email = "anna@intranet"

    assert login(web, "anna@intranet").status_code == 200
