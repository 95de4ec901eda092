"""Invitations to accounts: S2-06, S2-07 and C-31."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from event_contracts import Contract, MembershipGranted, NotificationReady
from service_chassis.clock import ManualClock
from service_chassis.messaging import outbox
from service_chassis.messaging.envelope import Event
from service_chassis.sealing import Seal
from service_chassis.service import Service
from user_service.model.actor import Actor
from user_service.model.invitation import LIFETIME, MOST_A_DAY, Invitation
from user_service.model.membership import AccountRole
from user_service.model.user import Role, User
from user_service.usecases import invitations

Published = Callable[[type[Contract]], list[Event]]
ADMIN, NORMAL = 1, 2


@pytest.fixture
def as_anna(new_user: Callable[..., User], signed_in: Callable[..., FlaskClient]) -> FlaskClient:
    return signed_in(new_user("anna").email)


@pytest.fixture
def account(as_anna: FlaskClient) -> int:
    return int(data(as_anna.get("/api/v1/accounts"))[0]["id"])


@pytest.fixture
def mailed(published: Published) -> Callable[[], str]:
    """Returns the token in the last mail."""

    def mailed() -> str:
        ready = published(NotificationReady)[-1]
        token: str = Seal("demo-notification-secret", "notifications").open(ready.data.sealed_variables)["token"]
        return token

    return mailed


def data(response: TestResponse) -> Any:
    return response.get_json()["data"]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def invite(client: FlaskClient, account: int, email: str = "bert@example.com", role: int = NORMAL) -> TestResponse:
    return client.post(f"/api/v1/accounts/{account}/invitations", json={"email": email, "role": role})


def add(client: FlaskClient, account: int, user: User, role: int = NORMAL) -> None:
    added = client.post(f"/api/v1/accounts/{account}/members", json={"user_id": str(user.id), "role": role})
    assert added.status_code == 201


def remove(client: FlaskClient, account: int, user: User) -> None:
    assert client.delete(f"/api/v1/accounts/{account}/members/{user.id}").status_code == 200


def accept(client: FlaskClient, token: str) -> TestResponse:
    return client.post("/api/v1/accounts/invitations/accept", json={"token": token})


def test_an_invitation_goes_out_by_mail_and_its_token_is_in_no_answer_and_no_message(
    as_anna: FlaskClient, account: int, service: Service, published: Published, mailed: Callable[[], str]
) -> None:
    """S2-06."""
    invited = invite(as_anna, account, email="New@Example.com")

    assert invited.status_code == 201
    assert (data(invited)["email"], data(invited)["status"], data(invited)["role"]) == (
        "new@example.com",
        "pending",
        NORMAL,
    )
    (ready,) = published(NotificationReady)
    assert (ready.data.template_code, ready.data.recipient, ready.data.user_id) == (
        "account_invitation",
        "new@example.com",
        None,
    )
    token = mailed()
    assert re.fullmatch(r"[\w-]{43}", token)
    assert token not in invited.text
    with service.units.read() as uow:
        assert not [m for _, m in outbox.pending(uow.session, 1000) if token.encode() in m.body]


def test_an_invitation_is_used_once(
    as_anna: FlaskClient, as_bert: FlaskClient, account: int, mailed: Callable[[], str], published: Published
) -> None:
    """S2-06, S2-07."""
    invite(as_anna, account, role=ADMIN)
    token = mailed()

    accepted = accept(as_bert, token)

    assert accepted.status_code == 200
    assert (data(accepted)["account_id"], data(accepted)["role_name"]) == (account, "Admin")
    granted = published(MembershipGranted)[-1]
    assert (granted.data.account_id, granted.data.role) == (account, ADMIN)
    assert str(granted.data.user_id) == data(accepted)["user_id"]
    assert as_bert.get(f"/api/v1/accounts/{account}/members").status_code == 200
    assert error(accept(as_bert, token)) == (404, "invitation_not_found")
    (listed,) = data(as_bert.get(f"/api/v1/accounts/{account}/invitations"))
    assert listed["status"] == "accepted"


def test_an_invitation_is_bound_to_its_address(
    as_anna: FlaskClient, as_bert: FlaskClient, account: int, mailed: Callable[[], str]
) -> None:
    invite(as_anna, account, email="carla@example.com")

    assert error(accept(as_bert, mailed())) == (404, "invitation_not_found")
    assert error(accept(as_bert, "no token of ours")) == (404, "invitation_not_found")
    assert error(as_bert.get(f"/api/v1/accounts/{account}")) == (404, "account_not_found")


@pytest.mark.usefixtures("bert")
def test_an_invitation_expires(
    as_anna: FlaskClient,
    account: int,
    mailed: Callable[[], str],
    clock: ManualClock,
    signed_in: Callable[..., FlaskClient],
) -> None:
    invite(as_anna, account)
    clock.advance(LIFETIME)

    assert error(accept(signed_in("bert@example.com"), mailed())) == (404, "invitation_not_found")


def test_an_invitation_can_be_taken_back(
    as_anna: FlaskClient, as_bert: FlaskClient, account: int, mailed: Callable[[], str]
) -> None:
    invitation = data(invite(as_anna, account))
    path = f"/api/v1/accounts/{account}/invitations/{invitation['id']}"

    assert error(as_bert.delete(path)) == (404, "account_not_found")
    assert data(as_anna.delete(path))["status"] == "revoked"
    assert error(as_anna.delete(path)) == (404, "invitation_not_found")
    assert error(accept(as_bert, mailed())) == (404, "invitation_not_found")


def test_a_newer_invitation_takes_the_place_of_an_older_one(
    as_anna: FlaskClient, as_bert: FlaskClient, account: int, mailed: Callable[[], str]
) -> None:
    invite(as_anna, account)
    older = mailed()
    invite(as_anna, account)

    assert error(accept(as_bert, older)) == (404, "invitation_not_found")
    assert accept(as_bert, mailed()).status_code == 200


def test_nobody_loses_a_role_by_an_invitation(
    as_anna: FlaskClient,
    as_bert: FlaskClient,
    account: int,
    *,
    bert: User,
    mailed: Callable[[], str],
    published: Published,
) -> None:
    invite(as_anna, account, role=NORMAL)
    token = mailed()
    add(as_anna, account, bert, ADMIN)
    granted = len(published(MembershipGranted))

    assert data(accept(as_bert, token))["role"] == ADMIN
    assert len(published(MembershipGranted)) == granted


def test_who_belongs_to_the_account_is_not_invited(
    as_anna: FlaskClient, admin: FlaskClient, account: int, bert: User
) -> None:
    add(admin, account, bert)

    assert error(invite(as_anna, account)) == (409, "already_member")
    assert error(invite(as_anna, account, email="anna@example.com", role=ADMIN)) == (409, "already_member")
    remove(as_anna, account, bert)
    assert invite(as_anna, account).status_code == 201


@pytest.mark.parametrize("end", ["removed", "demoted", "deactivated"])
def test_with_an_admin_go_the_invitations_they_sent(
    *,
    end: str,
    as_anna: FlaskClient,
    as_bert: FlaskClient,
    account: int,
    bert: User,
    admin: FlaskClient,
    mailed: Callable[[], str],
    new_user: Callable[..., User],
    signed_in: Callable[..., FlaskClient],
) -> None:
    """Or they would come back by one they sent to another address of theirs."""
    add(as_anna, account, bert, ADMIN)
    as_other = signed_in(new_user("berts-other-address").email)
    invite(as_bert, account, email="berts-other-address@example.com", role=ADMIN)
    token = mailed()

    if end == "removed":
        remove(as_anna, account, bert)
    elif end == "demoted":
        as_anna.patch(f"/api/v1/accounts/{account}/members/{bert.id}", json={"role": NORMAL})
    else:
        admin.post(f"/api/v1/users/{bert.id}/deactivate", json={})

    assert error(accept(as_other, token)) == (404, "invitation_not_found")
    assert error(as_other.get(f"/api/v1/accounts/{account}")) == (404, "account_not_found")
    (listed,) = data(as_anna.get(f"/api/v1/accounts/{account}/invitations"))
    assert listed["status"] == "revoked"


def test_an_admin_of_the_platform_invites_to_any_account(
    admin: FlaskClient, as_bert: FlaskClient, account: int, mailed: Callable[[], str]
) -> None:
    invite(admin, account, role=ADMIN)

    assert data(accept(as_bert, mailed()))["role"] == ADMIN


def test_an_invitation_to_a_deleted_account_is_void(
    as_anna: FlaskClient, as_bert: FlaskClient, account: int, mailed: Callable[[], str]
) -> None:
    invite(as_anna, account)
    as_anna.delete(f"/api/v1/accounts/{account}")

    assert error(accept(as_bert, mailed())) == (404, "invitation_not_found")


def test_a_role_is_one_of_two_and_an_address_is_one(as_anna: FlaskClient, account: int) -> None:
    assert error(invite(as_anna, account, role=0)) == (400, "validation_failed")
    assert error(invite(as_anna, account, email="nobody")) == (400, "invalid_email")


def test_accepting_counts_as_activity_and_proves_the_address(
    as_anna: FlaskClient, as_bert: FlaskClient, account: int, mailed: Callable[[], str], clock: ManualClock
) -> None:
    """C-3."""
    invite(as_anna, account)
    clock.advance(timedelta(minutes=30))

    accept(as_bert, mailed())

    profile = data(as_bert.get("/api/v1/users/profile"))
    assert profile["last_activity_at"] == profile["email_verified_at"] == clock.now().isoformat()


def test_an_account_invites_no_more_people_than_a_day_has_room_for(
    as_anna: FlaskClient, account: int, service: Service, clock: ManualClock, signed_in: Callable[..., FlaskClient]
) -> None:
    with service.units.write() as uow:
        anna = Actor(uow.users.by_email("anna@example.com").id, Role.USER)
        for number in range(MOST_A_DAY):
            invitations.invite(uow, account, anna, f"guest{number}@example.com", AccountRole.NORMAL)

    assert error(invite(as_anna, account)) == (429, "too_many_invitations")

    clock.advance(timedelta(days=1))
    assert invite(signed_in("anna@example.com"), account).status_code == 201


def test_more_accounts_are_no_room_for_more_invitations(
    as_anna: FlaskClient, account: int, service: Service, clock: ManualClock, signed_in: Callable[..., FlaskClient]
) -> None:
    other, third = (data(as_anna.post("/api/v1/accounts", json={"name": name}))["id"] for name in ("B", "C"))
    with service.units.write() as uow:
        anna = Actor(uow.users.by_email("anna@example.com").id, Role.USER)
        for number in range(MOST_A_DAY):
            to = (account, other)[number % 2]
            invitations.invite(uow, to, anna, f"guest{number}@example.com", AccountRole.NORMAL)

    assert error(invite(as_anna, third)) == (429, "too_many_invitations")

    clock.advance(timedelta(days=1))
    assert invite(signed_in("anna@example.com"), third).status_code == 201


def test_an_invitation_is_forgotten_a_week_after_its_end(
    as_anna: FlaskClient,
    as_bert: FlaskClient,
    account: int,
    *,
    service: Service,
    clock: ManualClock,
    mailed: Callable[[], str],
) -> None:
    invite(as_anna, account)
    accept(as_bert, mailed())
    revoked = data(invite(as_anna, account, email="revoked@example.com"))["id"]
    as_anna.delete(f"/api/v1/accounts/{account}/invitations/{revoked}")
    invite(as_anna, account, email="open@example.com")

    assert after(clock, timedelta(days=7), service) == [
        "bert@example.com",
        "open@example.com",
        "revoked@example.com",
    ]
    assert after(clock, timedelta(seconds=1), service) == ["open@example.com"]
    assert after(clock, LIFETIME - timedelta(seconds=1), service) == ["open@example.com"]
    assert after(clock, timedelta(seconds=1), service) == []


def after(clock: ManualClock, time: timedelta, service: Service) -> list[str]:
    """Return whose invitations are left when the clean-up ran after a while."""
    clock.advance(time)
    with service.units.write() as uow:
        assert invitations.forget(uow) is False
        return list(uow.session.scalars(select(Invitation.email).order_by(Invitation.email)))
