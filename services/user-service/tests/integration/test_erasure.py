"""Reading everything that is kept about a user, and erasing it."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from event_contracts import AccountDeleted, Contract, MembershipRevoked, PurgeRequested, UserPurged
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.conformance.backbone import delivered
from service_chassis.testing.waiting import wait_until
from user_service.model import invitation
from user_service.model.notification import Notification
from user_service.model.tables import Entity
from user_service.model.user import Reason, Role, User
from user_service.usecases import invitations, lifecycle

Published = Callable[[type[Contract]], list[Event]]


@pytest.fixture
def anna(new_user: Callable[..., User]) -> User:
    return new_user("anna-lindqvist")


@pytest.fixture
def traces(as_anna: FlaskClient, admin: FlaskClient, anna: User, service: Service) -> None:
    """Anna leaves her name wherever a name can be left."""
    as_anna.patch("/api/v1/users/profile", json={"name": "Anna Lindqvist", "push_token": "anna-lindqvist's phone"})
    as_anna.patch("/api/v1/users/preferences", json={"email": True, "push": True})
    wanted = {"notification_type": "email", "user_id": str(anna.id), "template_code": "welcome"}
    named = {"variables": {"name": "Anna Lindqvist"}, "request_id": "welcome anna-lindqvist"}
    as_anna.post("/api/v1/notifications", json=wanted | named)
    admin.post("/api/v1/accounts/1/invitations", json={"email": anna.email})
    with service.units.read() as uow:
        sent = list(uow.session.scalars(select(Notification.id)))
    assert len(sent) == 2
    for notification in sent:
        bounced = {
            "notification_id": str(notification),
            "status": "failed",
            "error": "No mailbox Anna-Lindqvist@example.com",
        }
        assert admin.post("/api/v1/email/status", json=bounced).status_code == 200
    admin.post(f"/api/v1/users/{anna.id}/deactivate", json={"reason": "Anna Lindqvist has left"})
    admin.post(f"/api/v1/users/{anna.id}/reactivate", json={"reason": "Anna Lindqvist is back"})
    admin.post("/api/v1/auth/password-reset", json={"email": anna.email})


def data(response: TestResponse) -> Any:
    return response.get_json()["data"]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def purge(client: FlaskClient, user: User) -> TestResponse:
    return client.post(f"/api/v1/users/{user.id}/purge", json={})


def holding(service: Service, word: str) -> set[str]:
    """Return the tables in which a word occurs anywhere; those of the backbone keep nothing for longer than a week."""
    with service.units.read() as uow:
        rows = {
            name: repr(uow.session.execute(text(f'SELECT * FROM "{name}"')).all()).lower()
            for name in Entity.metadata.tables
        }
    return {name for name, content in rows.items() if word in content}


@pytest.mark.usefixtures("traces")
def test_a_purged_user_is_named_nowhere_any_more(admin: FlaskClient, anna: User, service: Service) -> None:
    assert holding(service, "lindqvist") >= {"users", "notifications", "invitations", "user_history"}

    purged = data(purge(admin, anna))

    assert (purged["status"], purged["name"], purged["is_active"]) == ("purged", "", False)
    assert holding(service, "lindqvist") == set()


def test_an_invitation_to_a_former_address_is_gone_a_week_after_its_end(
    admin: FlaskClient, anna: User, service: Service, clock: ManualClock
) -> None:
    admin.post("/api/v1/accounts/1/invitations", json={"email": anna.email})
    admin.patch(f"/api/v1/users/{anna.id}", json={"email": "anna@new.example", "name": "Anna"})
    purge(admin, anna)
    assert holding(service, "lindqvist") == {"invitations"}

    clock.advance(invitation.LIFETIME + invitations.KEPT + timedelta(seconds=1))
    with service.units.write() as uow:
        invitations.forget(uow)

    assert holding(service, "lindqvist") == set()


def test_the_others_are_told_by_a_tombstone(
    admin: FlaskClient, anna: User, published: Published, clock: ManualClock
) -> None:
    purge(admin, anna)

    (told,) = published(UserPurged)
    assert (told.data.user_id, told.data.purged_at, told.version) == (anna.id, clock.now(), 2)
    assert str(anna.id) in [
        entry["id"] for entry in data(admin.get("/api/v1/users", query_string={"status": "purged"}))
    ]


def test_accounts_nobody_else_belongs_to_go_as_well(
    admin: FlaskClient, as_anna: FlaskClient, anna: User, new_user: Callable[..., User], published: Published
) -> None:
    own = data(as_anna.get("/api/v1/accounts"))[0]["id"]
    shared = data(as_anna.post("/api/v1/accounts", json={"name": "Shared"}))["id"]
    path = f"/api/v1/accounts/{shared}/members"
    as_anna.post(path, json={"user_id": str(new_user("bert").id), "role": 1})

    purge(admin, anna)

    (deleted,) = published(AccountDeleted)
    assert deleted.data.account_id == own
    assert {(event.data.account_id, event.data.user_id) for event in published(MembershipRevoked)} == {
        (own, anna.id),
        (shared, anna.id),
    }
    assert [member["user_email"] for member in data(admin.get(path))] == ["bert@example.com"]


def test_nothing_can_be_done_with_a_purged_user(
    admin: FlaskClient, as_anna: FlaskClient, anna: User, web: FlaskClient
) -> None:
    purge(admin, anna)
    path = f"/api/v1/users/{anna.id}"

    assert error(purge(admin, anna)) == (409, "already_purged")
    assert error(admin.patch(path, json={"name": "Anna"})) == (409, "already_purged")
    assert error(admin.post(f"{path}/reactivate", json={})) == (409, "already_purged")
    wait_until(lambda: as_anna.get("/api/v1/users/profile").status_code == 401)
    again = web.post("/api/v1/users", json={"email": anna.email, "password": "correct horse"})
    assert again.status_code == 201
    assert data(again)["user"]["number"] != anna.number


@pytest.mark.usefixtures("traces")
def test_users_read_everything_that_is_kept_about_them(admin: FlaskClient, anna: User, signed_in: Any) -> None:
    as_anna = signed_in(anna.email)

    exported = data(as_anna.get(f"/api/v1/users/{anna.id}/export"))

    assert exported["user"]["email"] == anna.email
    assert exported["user"]["push_token"] == "anna-lindqvist's phone"
    assert exported["preferences"]["push"] is True
    assert [membership["role"] for membership in exported["memberships"]] == [1]
    assert exported["notifications"][0]["template_code"] == "welcome"
    assert [invitation["account_id"] for invitation in exported["invitations"]] == [1]
    assert len(exported["history"]) >= 3
    assert len(exported["sessions"]) >= 2
    assert data(admin.get(f"/api/v1/users/{anna.id}/export"))["user"] == exported["user"]


@pytest.mark.usefixtures("traces")
def test_an_export_holds_no_secret_of_the_service(as_anna: FlaskClient, anna: User, admin: FlaskClient) -> None:
    exported = json.dumps(data(admin.get(f"/api/v1/users/{anna.id}/export")))

    assert not [word for word in ("password", "argon2", "secret", "digest", "hash") if word in exported]


def test_nobody_reads_the_data_of_others(as_anna: FlaskClient, new_user: Callable[..., User]) -> None:
    assert error(as_anna.get(f"/api/v1/users/{new_user('bert').id}/export")) == (404, "user_not_found")


@pytest.fixture
def asked_to_purge(
    service: Service, clock: ManualClock, deliver: Callable[..., None]
) -> Callable[[User, timedelta], None]:
    """Hears a cleanup run ask for the erasure of whoever was switched off so long ago."""

    def asked(user: User, ago: timedelta) -> None:
        request = PurgeRequested(user_id=user.id, run_id=uuid7(), deactivated_before=clock.now() - ago)
        deliver(*delivered(clock, request))

    return asked


def switch_off(service: Service, user: User, reason: Reason) -> None:
    with service.units.write() as uow:
        lifecycle.deactivate(uow, user.id, "", by=user.id, tokens_live=timedelta(hours=1), reason=reason)


def test_whom_cleanup_switched_off_is_purged_when_it_asks_late_enough(
    service: Service,
    anna: User,
    clock: ManualClock,
    asked_to_purge: Callable[[User, timedelta], None],
    state_of: Callable[[User], User],
) -> None:
    """C-1."""
    switch_off(service, anna, Reason.INACTIVITY)
    asked_to_purge(anna, timedelta(0))
    assert state_of(anna).status == "deactivated"

    clock.advance(timedelta(days=30))
    asked_to_purge(anna, timedelta(days=29))

    assert state_of(anna).status == "purged"


@pytest.mark.parametrize("reason", [Reason.SELF, Reason.ADMIN, Reason.MISSED_TASKS])
def test_whoever_was_switched_off_for_another_reason_is_left_alone(
    reason: Reason, service: Service, anna: User, asked_to_purge: Any, state_of: Callable[[User], User]
) -> None:
    """C-1, e-3."""
    switch_off(service, anna, reason)

    asked_to_purge(anna, -timedelta(days=1))

    assert state_of(anna).status == "deactivated"


def test_whom_the_other_members_of_an_account_need_is_left_alone(
    service: Service,
    as_anna: FlaskClient,
    admin: FlaskClient,
    *,
    anna: User,
    new_user: Callable[..., User],
    asked_to_purge: Any,
    state_of: Callable[[User], User],
) -> None:
    bert, account = new_user("bert"), data(as_anna.get("/api/v1/accounts"))[0]["id"]
    admin.post(f"/api/v1/accounts/{account}/members", json={"user_id": str(bert.id), "role": 2})
    switch_off(service, bert, Reason.ADMIN)
    switch_off(service, anna, Reason.INACTIVITY)
    with service.units.write() as uow:
        lifecycle.reactivate(uow, bert.id, "", by=bert.id, as_role=Role.ADMIN)

    asked_to_purge(anna, -timedelta(days=1))

    assert state_of(anna).status == "deactivated"


def test_who_is_active_again_is_left_alone(anna: User, asked_to_purge: Any, state_of: Callable[[User], User]) -> None:
    asked_to_purge(anna, -timedelta(days=1))

    assert state_of(anna).is_active
