"""Belonging to an account without having been asked: it gives rights, and says and binds nothing (S2-14)."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service_chassis.service import Service
from user_service.model.user import User

ADMIN, NORMAL = 1, 2


def data(response: TestResponse) -> Any:
    return response.get_json()["data"]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def add(client: FlaskClient, account: int, user: User, role: int = NORMAL) -> TestResponse:
    return client.post(f"/api/v1/accounts/{account}/members", json={"user_id": str(user.id), "role": role})


def remove(client: FlaskClient, account: int, user: User) -> TestResponse:
    return client.delete(f"/api/v1/accounts/{account}/members/{user.id}")


def test_nobody_is_added_by_address_which_would_tell_who_has_it(
    as_anna: FlaskClient, account: int, bert: User, service: Service
) -> None:
    path = f"/api/v1/accounts/{account}/members"

    answers = [as_anna.post(path, json={"email": email}) for email in (bert.email, "nobody@example.com")]

    assert [error(answer) for answer in answers] == [(400, "validation_failed")] * 2
    assert answers[0].data == answers[1].data
    with service.units.read() as uow:
        assert uow.users.by_email("nobody@example.com") is None


def test_a_membership_given_without_asking_holds_at_once_and_shows_nobody_who_that_is(
    as_anna: FlaskClient, as_bert: FlaskClient, admin: FlaskClient, account: int, bert: User
) -> None:
    """S2-14."""
    path = f"/api/v1/accounts/{account}/members"
    added = as_anna.post(path, json={"user_number": bert.number})

    assert as_bert.get(f"/api/v1/accounts/{account}").status_code == 200
    listed = data(as_anna.get(path))[1]
    given = data(as_anna.patch(f"{path}/{bert.id}", json={"role": ADMIN}))
    for seen in (data(added), listed, given):
        assert (seen["user_email"], seen["user_name"], seen["consented_at"]) == (None, None, None)
    assert data(as_anna.get(path, query_string={"user_email": "bert"})) == []
    assert [user["email"] for user in data(as_anna.get("/api/v1/users"))] == ["anna@example.com"]
    assert [member["user_email"] for member in data(admin.get(path, query_string={"user_email": "BERT"}))] == [
        bert.email
    ]


def test_somebody_added_without_asking_agrees_by_accepting_an_invitation(
    as_anna: FlaskClient, as_bert: FlaskClient, account: int, bert: User, mails: Callable[[], list[dict[str, Any]]]
) -> None:
    """Whose address it is nobody learns before, also not from whether an invitation is sent; and no role is lost."""
    path = f"/api/v1/accounts/{account}"
    add(as_anna, account, bert, role=ADMIN)

    invited = [
        as_anna.post(f"{path}/invitations", json={"email": email}) for email in ("nobody@example.com", bert.email)
    ]

    assert [response.status_code for response in invited] == [201, 201]
    accepted = as_bert.post("/api/v1/accounts/invitations/accept", json={"token": mails()[1]["token"]})
    assert (data(accepted)["role"], data(accepted)["consented_at"] is None) == (ADMIN, False)
    assert data(as_anna.get(f"{path}/members"))[1]["user_email"] == bert.email
    again = as_anna.post(f"{path}/invitations", json={"email": bert.email})
    assert error(again) == (409, "already_member")


def test_who_left_has_to_be_asked_again(
    as_anna: FlaskClient, as_bert: FlaskClient, admin: FlaskClient, account: int, bert: User
) -> None:
    add(admin, account, bert)
    remove(as_bert, account, bert)

    assert data(add(as_anna, account, bert))["user_email"] is None


def test_nobody_is_kept_from_going_by_members_who_were_never_asked(
    as_anna: FlaskClient, admin: FlaskClient, anna: User, bert: User, account: int
) -> None:
    add(as_anna, account, bert)

    assert admin.post(f"/api/v1/users/{anna.id}/deactivate", json={}).status_code == 200


@pytest.mark.parametrize("way", ["out of the account", "off"])
def test_an_admin_who_was_never_asked_may_go(
    as_anna: FlaskClient,
    as_bert: FlaskClient,
    admin: FlaskClient,
    *,
    anna: User,
    bert: User,
    account: int,
    new_user: Callable[..., User],
    way: str,
) -> None:
    add(as_anna, account, bert, role=ADMIN)
    admin.post(f"/api/v1/users/{anna.id}/deactivate", json={})
    add(admin, account, new_user("carla"))

    gone = remove(as_bert, account, bert) if way != "off" else as_bert.delete("/api/v1/users/profile")

    assert gone.status_code == 200


def test_an_admin_is_not_left_with_an_account_unasked(
    as_anna: FlaskClient, anna: User, bert: User, account: int
) -> None:
    add(as_anna, account, bert, role=ADMIN)

    assert error(remove(as_anna, account, anna)) == (409, "last_account_admin")
