"""What users see and change of themselves: S4-01, S4-12 to S4-14, S4-59."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from event_contracts import Contract, UserDeactivated, UserUpdated
from service_chassis.messaging.envelope import Event
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.waiting import wait_until
from user_service.model.user import User

Published = Callable[[type[Contract]], list[Event]]
PROFILE = "/api/v1/users/profile"


def data(response: TestResponse) -> Any:
    return response.get_json()["data"]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def test_users_see_themselves(as_anna: FlaskClient, anna: User, web: FlaskClient) -> None:
    """S4-12."""
    profile = data(as_anna.get(PROFILE))

    assert (profile["id"], profile["email"], profile["name"]) == (str(anna.id), anna.email, "Anna")
    assert (profile["push_token"], profile["preferences"]) == (None, {"email": True, "push": True})
    assert data(as_anna.get(f"/api/v1/users/{anna.id}")) == profile
    assert web.get(PROFILE).status_code == 401


def test_users_change_their_name_which_the_others_are_told(
    as_anna: FlaskClient, anna: User, published: Published
) -> None:
    """S4-13."""
    changed = data(as_anna.patch(PROFILE, json={"name": " Anna Lindqvist "}))

    assert changed["name"] == "Anna Lindqvist"
    (told,) = published(UserUpdated)
    assert (told.data.user_id, told.data.name, told.data.email, told.version) == (
        anna.id,
        "Anna Lindqvist",
        anna.email,
        2,
    )
    assert data(as_anna.patch(PROFILE, json={"name": "Anna Lindqvist"}))["name"] == "Anna Lindqvist"
    assert len(published(UserUpdated)) == 1


def test_a_push_token_is_nobody_elses_business(
    as_anna: FlaskClient, admin: FlaskClient, anna: User, published: Published
) -> None:
    """S4-13: it is set, shown to its owner and to those who send, and taken away again."""
    assert data(as_anna.patch(PROFILE, json={"push_token": "device 1"}))["push_token"] == "device 1"
    assert data(admin.get(f"/api/v1/users/{anna.id}"))["push_token"] == "device 1"
    assert "push_token" not in data(admin.get("/api/v1/users"))[1]
    assert published(UserUpdated) == []

    assert data(as_anna.patch(PROFILE, json={"push_token": None}))["push_token"] is None


@only_sqlite
@pytest.mark.parametrize(
    "body", [{}, {"email": "other@example.com"}, {"role": "admin"}, {"name": "x" * 201}, {"name": 7}]
)
def test_nothing_else_of_a_profile_can_be_changed(as_anna: FlaskClient, body: dict[str, Any]) -> None:
    assert error(as_anna.patch(PROFILE, json=body)) == (400, "validation_failed")


def test_users_switch_themselves_off_and_nothing_is_deleted(
    as_anna: FlaskClient, admin: FlaskClient, anna: User, published: Published, web: FlaskClient
) -> None:
    """S4-14, C-21."""
    gone = as_anna.delete(PROFILE)

    assert (gone.status_code, gone.get_json()["message"]) == (200, "Account deactivated successfully")
    assert (data(gone)["is_active"], data(gone)["deactivation_reason"]) == (False, "self")
    (told,) = published(UserDeactivated)
    assert (told.data.deactivation_reason, told.data.actor_id) == ("self", anna.id)
    wait_until(lambda: as_anna.get(PROFILE).status_code == 401)
    assert web.post("/api/v1/auth/login", json={"email": anna.email, "password": "correct horse"}).status_code == 401
    assert data(admin.get(f"/api/v1/users/{anna.id}"))["name"] == "Anna"
    history = data(admin.get(f"/api/v1/users/{anna.id}/history"))
    assert (history[0]["action"], history[0]["actor"]) == ("user_deactivated", str(anna.id))


def test_the_last_admin_does_not_leave(admin: FlaskClient) -> None:
    assert error(admin.delete(PROFILE)) == (409, "last_admin")
