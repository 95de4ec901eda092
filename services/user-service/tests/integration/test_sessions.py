"""Where one is signed in, and how to end it (S2-05, S4-07, S4-08); cookies for browsers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.user import User
from user_service.usecases import lifecycle

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
SESSIONS = "/api/v1/auth/sessions"
PASSWORD = "correct horse"
CSRF = {"X-Requested-With": "page"}


def login(web: FlaskClient, user: User, agent: str = "tests", **more: Any) -> Any:
    body = {"email": user.email, "password": PASSWORD, **more}
    return data(web.post(LOGIN, json=body, headers={"User-Agent": agent, "X-Forwarded-For": "198.51.100.7"}))


def data(response: TestResponse) -> Any:
    assert response.status_code == 200, response.text
    return response.get_json()["data"]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def bearer(tokens: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def refresh(web: FlaskClient, tokens: Any) -> TestResponse:
    return web.post(REFRESH, json={"refresh_token": tokens["refresh_token"]})


def test_a_user_sees_where_they_are_signed_in(web: FlaskClient, anna: User, clock: ManualClock) -> None:
    login(web, anna, "phone")
    clock.advance(timedelta(hours=1))
    here = login(web, anna, "laptop")

    laptop, phone = data(web.get(SESSIONS, headers=bearer(here)))

    assert [(one["user_agent"], one["current"], one["kind"]) for one in (laptop, phone)] == [
        ("laptop", True, "refresh"),
        ("phone", False, "refresh"),
    ]
    assert laptop["address"] == "198.51.100.7"
    assert phone["created_at"] < laptop["created_at"]
    assert set(laptop) == {
        "id", "kind", "current", "address", "user_agent", "created_at", "last_used_at", "expires_at",
    }  # fmt: skip


def test_nobody_sees_or_ends_the_sessions_of_others(
    web: FlaskClient, anna: User, new_user: Callable[..., User]
) -> None:
    hers = login(web, anna)
    his = login(web, new_user("bert"))
    (only,) = data(web.get(SESSIONS, headers=bearer(hers)))

    answer = web.delete(f"{SESSIONS}/{only['id']}", headers=bearer(his))

    assert error(answer) == (404, "session_not_found")
    assert refresh(web, hers).status_code == 200


def test_a_session_that_is_ended_from_elsewhere_is_over_everywhere(web: FlaskClient, anna: User) -> None:
    phone, here = login(web, anna, "phone"), login(web, anna)
    lost = next(one["id"] for one in data(web.get(SESSIONS, headers=bearer(here))) if not one["current"])

    data(web.delete(f"{SESSIONS}/{lost}", headers=bearer(here)))

    assert error(refresh(web, phone)) == (401, "invalid_refresh_token")
    assert error(web.get(SESSIONS, headers=bearer(phone))) == (401, "session_ended")
    assert len(data(web.get(SESSIONS, headers=bearer(here)))) == 1
    assert error(web.delete(f"{SESSIONS}/{lost}", headers=bearer(here))) == (404, "session_not_found")


def test_after_signing_out_the_very_next_request_is_refused_whatever_it_is(web: FlaskClient, anna: User) -> None:
    """S2-05, C-41."""
    here = bearer(login(web, anna))

    data(web.post("/api/v1/auth/logout", headers=here))

    refused = [
        web.get("/api/v1/users/profile", headers=here),
        web.patch("/api/v1/users/profile", headers=here, json={"name": "Eve"}),
        web.post("/api/v1/auth/logout", headers=here),
    ]
    assert {error(answer) for answer in refused} == {(401, "session_ended")}


def test_a_user_who_was_deactivated_makes_no_account_with_a_token_from_before(
    web: FlaskClient, anna: User, service: Service
) -> None:
    """C-41."""
    here = bearer(login(web, anna))

    with service.units.write() as uow:
        lifecycle.deactivate(uow, anna.id, "left", by=uuid7(), tokens_live=timedelta(hours=1))

    assert error(web.post("/api/v1/accounts", headers=here, json={"name": "Late"})) == (401, "session_ended")


def test_all_other_sessions_are_ended_at_once(web: FlaskClient, anna: User) -> None:
    others = [login(web, anna) for _ in range(3)]
    here = login(web, anna)

    assert data(web.delete(SESSIONS, headers=bearer(here))) == {"ended": 3}

    assert {refresh(web, tokens).status_code for tokens in others} == {401}
    assert refresh(web, here).status_code == 200


@only_sqlite
def test_there_is_no_session_nobody_has(web: FlaskClient, anna: User) -> None:
    answer = web.delete(f"{SESSIONS}/{uuid7()}", headers=bearer(login(web, anna)))

    assert error(answer) == (404, "session_not_found")


def test_a_session_that_is_used_goes_on_but_not_for_ever(web: FlaskClient, anna: User, clock: ManualClock) -> None:
    tokens, begun = login(web, anna), clock.now()
    while (answer := refresh(web, tokens)).status_code == 200:
        tokens = data(answer)
        clock.advance(timedelta(hours=23))

    assert error(answer) == (401, "invalid_refresh_token")
    assert timedelta(days=30) <= clock.now() - begun < timedelta(days=31)


def test_a_browser_keeps_its_tokens_where_no_script_can_read_them(web: FlaskClient, anna: User) -> None:
    response = web.post(LOGIN, json={"email": anna.email, "password": PASSWORD, "cookies": True})

    tokens = data(response)
    cookies = {cookie.partition("=")[0]: cookie for cookie in response.headers.getlist("Set-Cookie")}
    assert tokens["refresh_token"] is None
    assert tokens["device_token"] is None
    assert cookies.keys() == {"steward_refresh", "steward_device"}
    for cookie in cookies.values():
        assert {"HttpOnly", "SameSite=Strict", "Path=/api/v1/auth"} <= set(cookie.split("; "))


def test_a_browser_refreshes_by_its_cookie_alone(web: FlaskClient, anna: User) -> None:
    login(web, anna, cookies=True)

    tokens = data(web.post(REFRESH, json={}, headers=CSRF))

    assert tokens["refresh_token"] is None
    assert web.get(SESSIONS, headers=bearer(tokens)).status_code == 200
    assert web.post(REFRESH, json={}, headers={"Origin": "http://localhost"}).status_code == 200


def test_another_page_cannot_refresh_by_the_cookie(web: FlaskClient, anna: User) -> None:
    login(web, anna, cookies=True)

    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert error(web.post(REFRESH, json={}, headers=headers)) == (401, "invalid_refresh_token")

    assert web.post(REFRESH, json={}, headers=CSRF).status_code == 200


def test_signing_out_takes_the_cookie_away_and_leaves_the_device_known(web: FlaskClient, anna: User) -> None:
    tokens = login(web, anna, cookies=True)

    response = web.post("/api/v1/auth/logout", headers=bearer(tokens))

    (cleared,) = response.headers.getlist("Set-Cookie")
    assert cleared.startswith("steward_refresh=;")
    assert web.post(REFRESH, json={}, headers=CSRF).status_code == 401
    assert web.get_cookie("steward_device", path="/api/v1/auth") is not None


def test_the_device_cookie_keeps_the_door_open_while_others_guess(web: FlaskClient, anna: User) -> None:
    login(web, anna, cookies=True)
    stranger = web.application.test_client()
    for _ in range(6):
        stranger.post(LOGIN, json={"email": anna.email, "password": "wrong"})
    assert stranger.post(LOGIN, json={"email": anna.email, "password": PASSWORD}).status_code == 429

    assert web.post(LOGIN, json={"email": anna.email, "password": PASSWORD}).status_code == 200
