"""Accounts, members and the token: S2-02, S2-06, S2-07, S2-11 to S2-15, S2-35, S2-37, C-4, C-16 and C-31."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from event_contracts import (
    AccountCreated,
    AccountDeleted,
    AccountUpdated,
    Contract,
    DeactivationRequested,
    MembershipGranted,
    MembershipRevoked,
    UserDeactivated,
    UserDeactivationRefused,
)
from service_chassis.clock import ManualClock
from service_chassis.errors import ServiceError
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.conformance.backbone import delivered_batch
from service_chassis.testing.plugin import only_sqlite
from user_service.model.account import Account, hash_of
from user_service.model.actor import Actor
from user_service.model.errors import AccountNotFound
from user_service.model.service_client import Scope
from user_service.model.user import Role, User
from user_service.usecases import members, service_clients

Published = Callable[[type[Contract]], list[Event]]
MASKED = "********"
ADMIN, NORMAL = 1, 2


@pytest.fixture
def shared(admin: FlaskClient, account: int, bert: User) -> int:
    """Anna's account with Bert as Normal user, which he has agreed to be."""
    assert add(admin, account, bert).status_code == 201
    return account


def data(response: TestResponse) -> Any:
    return response.get_json()["data"]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def add(client: FlaskClient, account: int, user: User, role: int = NORMAL) -> TestResponse:
    return client.post(f"/api/v1/accounts/{account}/members", json={"user_id": str(user.id), "role": role})


def give(client: FlaskClient, account: int, user: User, role: int) -> TestResponse:
    return client.patch(f"/api/v1/accounts/{account}/members/{user.id}", json={"role": role})


def remove(client: FlaskClient, account: int, user: User) -> TestResponse:
    return client.delete(f"/api/v1/accounts/{account}/members/{user.id}")


def test_registration_makes_an_account_and_its_admin(
    web: FlaskClient, signed_in: Callable[..., FlaskClient], published: Published
) -> None:
    """S2-02, S4-57."""
    body = {"email": "carla@example.com", "password": "correct horse"}
    carla = data(web.post("/api/v1/users", json=body))["user"]["id"]

    (own,) = data(signed_in(body["email"]).get("/api/v1/accounts"))

    created = published(AccountCreated)[-1]
    granted = published(MembershipGranted)[-1]
    assert (created.data.account_id, created.version) == (own["id"], 1)
    assert (granted.data.account_id, str(granted.data.user_id), granted.data.role) == (own["id"], carla, ADMIN)


def test_admins_of_an_account_see_its_token_members_see_it_masked_and_strangers_see_no_account(
    as_anna: FlaskClient, as_bert: FlaskClient, shared: int, new_user: Callable[..., User], signed_in: Any
) -> None:
    """S2-12, S2-35, C-16, e-5."""
    as_stranger = signed_in(new_user("carla").email)

    own = data(as_anna.get(f"/api/v1/accounts/{shared}"))["app_secret_token"]

    assert UUID(own).version == 4
    assert data(as_anna.get("/api/v1/accounts"))[0]["app_secret_token"] == MASKED
    assert data(as_bert.get(f"/api/v1/accounts/{shared}"))["app_secret_token"] == MASKED
    assert error(as_stranger.get(f"/api/v1/accounts/{shared}")) == (404, "account_not_found")


def test_an_admin_of_the_platform_manages_every_account_and_reads_no_token(admin: FlaskClient, shared: int) -> None:
    """C-4."""
    assert data(admin.get(f"/api/v1/accounts/{shared}"))["app_secret_token"] == MASKED
    assert data(admin.patch(f"/api/v1/accounts/{shared}", json={"name": "Ours"}))["name"] == "Ours"
    assert [account["id"] for account in data(admin.get("/api/v1/accounts"))] == [1, shared, shared + 1]
    rotated = data(admin.post(f"/api/v1/accounts/{shared}/token/rotate", json={}))
    assert rotated["app_secret_token"] == MASKED


def test_each_reading_of_the_token_is_in_the_history(as_anna: FlaskClient, anna: User, account: int) -> None:
    """S2-35."""
    for _ in range(2):
        as_anna.get(f"/api/v1/accounts/{account}", headers={"X-Correlation-ID": "ticket-7"})

    history = data(as_anna.get(f"/api/v1/accounts/{account}/history"))

    assert [(entry["action"], entry["actor"]) for entry in history] == [
        ("token_read", str(anna.id)),
        ("token_read", str(anna.id)),
        ("member_added", "self"),
        ("account_created", "self"),
    ]
    assert history[0]["correlation_id"] == "ticket-7"


def test_the_token_is_in_no_row_as_it_is(as_anna: FlaskClient, account: int, service: Service) -> None:
    """S2-35."""
    token = data(as_anna.get(f"/api/v1/accounts/{account}"))["app_secret_token"]

    with service.units.read() as uow:
        row = uow.session.get(Account, account)

    assert token not in row.sealed_token
    assert row.token_hash == hash_of(UUID(token))


def test_after_a_rotation_both_tokens_are_good_for_a_while(
    as_anna: FlaskClient, account: int, clock: ManualClock, service: Service, published: Published
) -> None:
    before = UUID(data(as_anna.get(f"/api/v1/accounts/{account}"))["app_secret_token"])

    rotated = data(as_anna.post(f"/api/v1/accounts/{account}/token/rotate", json={"overlap_hours": 2}))

    after = UUID(rotated["app_secret_token"])
    until = clock.now() + timedelta(hours=2)
    (event,) = published(AccountUpdated)
    assert (event.data.token_hash, event.data.previous_token_hash) == (hash_of(after), hash_of(before))
    assert (event.data.previous_token_until, event.version) == (until, 2)
    assert [good(service, token) for token in (before, after)] == [True, True]
    clock.advance(timedelta(hours=2))
    assert [good(service, token) for token in (before, after)] == [False, True]


def good(service: Service, token: UUID) -> bool:
    with service.units.read() as uow:
        try:
            uow.accounts.by_token(hash_of(token), uow.now)
        except AccountNotFound:
            return False
        return True


def test_only_who_is_admin_somewhere_adds_accounts(
    as_anna: FlaskClient, anna: User, account: int, published: Published
) -> None:
    """S2-11, C-4."""
    made = as_anna.post("/api/v1/accounts", json={"name": "My Account", "website": "https://example.com"})

    assert made.status_code == 201
    assert data(made)["website"] == "https://example.com"
    assert UUID(data(made)["app_secret_token"])
    assert [seen["id"] for seen in data(as_anna.get("/api/v1/accounts"))] == [account, data(made)["id"]]
    for each in (account, data(made)["id"]):
        as_anna.delete(f"/api/v1/accounts/{each}")
    assert error(as_anna.post("/api/v1/accounts", json={"name": "Another"})) == (403, "may_not_manage_account")


def test_a_repeat_shows_the_token_only_to_who_may_still_read_it(
    as_anna: FlaskClient, as_bert: FlaskClient, anna: User, bert: User, shared: int
) -> None:
    path, key = f"/api/v1/accounts/{shared}/token/rotate", {"Idempotency-Key": "rotation-1"}
    first = data(as_anna.post(path, json={}, headers=key))
    again = data(as_anna.post(path, json={}, headers=key))
    data(give(as_anna, shared, bert, ADMIN))
    data(remove(as_bert, shared, anna))

    refused = as_anna.post(path, json={}, headers=key)

    assert again == first
    assert error(refused) == (404, "account_not_found")
    assert first["app_secret_token"] not in refused.get_data(as_text=True)


def test_a_repeat_shows_an_admin_of_the_platform_no_token_who_is_admin_of_the_account_no_more(
    admin: FlaskClient, as_anna: FlaskClient, account: int
) -> None:
    """S 9."""
    platform_admin = data(admin.get("/api/v1/users/profile"))["id"]
    path, key = f"/api/v1/accounts/{account}", {"Idempotency-Key": "rotation-1"}
    as_anna.post(f"{path}/members", json={"user_id": platform_admin, "role": ADMIN})
    rotated = data(admin.post(f"{path}/token/rotate", json={}, headers=key))
    as_anna.delete(f"{path}/members/{platform_admin}")

    refused = admin.post(f"{path}/token/rotate", json={}, headers=key)

    assert UUID(rotated["app_secret_token"])
    assert error(refused) == (403, "may_not_manage_account")


def test_a_repeat_shows_who_belongs_to_an_account_only_to_who_still_manages_it(
    as_anna: FlaskClient, as_bert: FlaskClient, anna: User, bert: User, shared: int
) -> None:
    """S 9."""
    path, key = f"/api/v1/accounts/{shared}", {"Idempotency-Key": "once"}
    asked = [
        lambda: as_anna.patch(path, json={"name": "Ours"}, headers=key),
        lambda: as_anna.put(path, json={"name": "Ours"}, headers=key),
        lambda: as_anna.patch(f"{path}/members/{bert.id}", json={"role": ADMIN}, headers=key),
        lambda: as_anna.post(f"{path}/invitations", json={"email": "guest@example.com"}, headers=key),
    ]
    first = [data(ask()) for ask in asked]
    again = [data(ask()) for ask in asked]
    data(remove(as_bert, shared, anna))

    refused = [error(ask()) for ask in asked]

    assert again == first
    assert refused == [(404, "account_not_found")] * len(asked)


@only_sqlite
def test_an_account_is_replaced_by_its_admin_and_what_is_left_out_is_gone(
    as_anna: FlaskClient, as_bert: FlaskClient, account: int
) -> None:
    """S2-10, S2-12."""
    path = f"/api/v1/accounts/{account}"
    assert as_anna.patch(path, json={"website": "https://example.com"}).status_code == 200

    replaced = data(as_anna.put(path, json={"name": "Ours"}))

    assert (replaced["name"], replaced["website"]) == ("Ours", None)
    assert error(as_anna.put(path, json={"website": "https://example.com"})) == (400, "validation_failed")
    assert error(as_bert.put(path, json={"name": "Mine"})) == (404, "account_not_found")


@only_sqlite
@pytest.mark.parametrize("website", ["example.com", "javascript:alert(1)", "https://exa mple.com"])
def test_a_website_is_an_address_of_the_web(as_anna: FlaskClient, account: int, website: str) -> None:
    response = as_anna.patch(f"/api/v1/accounts/{account}", json={"website": website})

    assert error(response) == (400, "validation_failed")


def test_members_view_and_admins_manage(as_bert: FlaskClient, bert: User, anna: User, shared: int) -> None:
    """S2-06, S2-12, S2-13, C-16, e-6: a Normal user changes and deletes nothing."""
    path = f"/api/v1/accounts/{shared}"
    refused = [
        as_bert.patch(path, json={"name": "Mine"}),
        as_bert.delete(path),
        as_bert.post(f"{path}/token/rotate", json={}),
        as_bert.get(f"{path}/members"),
        as_bert.get(f"{path}/history"),
        as_bert.get(f"{path}/invitations"),
        as_bert.post(f"{path}/invitations", json={"email": "carla@example.com"}),
        give(as_bert, shared, bert, ADMIN),
        remove(as_bert, shared, anna),
    ]

    assert as_bert.get(path).status_code == 200
    assert {error(response) for response in refused} == {(403, "may_not_manage_account")}


def test_an_account_is_nobody_elses(as_anna: FlaskClient, as_bert: FlaskClient, anna: User, account: int) -> None:
    """C-4, e-5: being Admin of one account gives no right in another, and does not even show it."""
    path = f"/api/v1/accounts/{account}"
    refused = [
        as_bert.get(path),
        as_bert.patch(path, json={"name": "Mine"}),
        as_bert.delete(path),
        as_bert.post(f"{path}/token/rotate", json={}),
        as_bert.get(f"{path}/members"),
        as_bert.get(f"{path}/history"),
        as_bert.get(f"{path}/invitations"),
        as_bert.post(f"{path}/invitations", json={"email": "bert@example.com", "role": ADMIN}),
        add(as_bert, account, anna),
        give(as_bert, account, anna, NORMAL),
        remove(as_bert, account, anna),
    ]

    assert {error(response) for response in refused} == {(404, "account_not_found")}
    assert as_anna.get(path).status_code == 200


def test_a_member_is_added_with_one_of_two_roles(
    as_anna: FlaskClient, account: int, bert: User, published: Published
) -> None:
    """S2-14, S2-15."""
    added = add(as_anna, account, bert)

    assert added.status_code == 201
    assert (data(added)["role"], data(added)["role_name"]) == (NORMAL, "Normal user")
    granted = published(MembershipGranted)[-1]
    assert (granted.data.user_id, granted.data.role, granted.version) == (bert.id, NORMAL, 1)
    assert error(add(as_anna, account, bert)) == (409, "already_member")
    assert error(add(as_anna, account, bert, role=3)) == (400, "validation_failed")


def test_a_member_is_named_by_number_too(as_anna: FlaskClient, account: int, bert: User) -> None:
    """S2-14, C-6."""
    path = f"/api/v1/accounts/{account}/members"

    assert data(as_anna.post(path, json={"user_number": bert.number}))["user_id"] == str(bert.id)

    assert [member["user_number"] for member in data(as_anna.get(path))] == [bert.number - 1, bert.number]
    assert error(as_anna.post(path, json={"user_id": str(uuid4())})) == (404, "user_not_found")
    assert error(as_anna.post(path, json={"user_number": bert.number, "user_id": str(bert.id)}))[0] == 400


def test_who_is_not_active_is_added_like_somebody_who_does_not_exist(
    as_anna: FlaskClient, admin: FlaskClient, account: int, bert: User, new_user: Callable[..., User]
) -> None:
    carla = new_user("carla")
    admin.post(f"/api/v1/users/{bert.id}/deactivate", json={})
    admin.post(f"/api/v1/users/{carla.id}/purge", json={})

    assert [error(add(as_anna, account, user)) for user in (bert, carla)] == [(404, "user_not_found")] * 2


def test_who_was_removed_and_comes_back_goes_on_with_the_same_membership(
    as_anna: FlaskClient, as_bert: FlaskClient, bert: User, shared: int, published: Published
) -> None:
    assert remove(as_anna, shared, bert).status_code == 200
    assert error(as_bert.get(f"/api/v1/accounts/{shared}")) == (404, "account_not_found")
    assert error(remove(as_anna, shared, bert)) == (404, "member_not_found")

    add(as_anna, shared, bert, role=ADMIN)

    granted = [event for event in published(MembershipGranted) if event.subject == f"{shared}:{bert.id}"]
    (revoked,) = published(MembershipRevoked)
    assert [event.version for event in (granted[0], revoked, granted[1])] == [1, 2, 3]
    assert as_bert.get(f"/api/v1/accounts/{shared}/members").status_code == 200


def test_the_last_admin_of_an_account_is_neither_removed_nor_demoted(
    as_anna: FlaskClient, admin: FlaskClient, anna: User, bert: User, shared: int
) -> None:
    for client in (as_anna, admin):
        assert error(give(client, shared, anna, NORMAL)) == (409, "last_account_admin")
        assert error(remove(client, shared, anna)) == (409, "last_account_admin")

    give(as_anna, shared, bert, ADMIN)

    assert data(give(as_anna, shared, anna, NORMAL))["role"] == NORMAL
    assert error(remove(admin, shared, bert)) == (409, "last_account_admin")


def test_an_admin_who_is_switched_off_counts_as_none(
    as_anna: FlaskClient, admin: FlaskClient, anna: User, bert: User, shared: int
) -> None:
    give(as_anna, shared, bert, ADMIN)
    admin.post(f"/api/v1/users/{bert.id}/deactivate", json={})

    assert error(remove(as_anna, shared, anna)) == (409, "last_account_admin")


def test_two_admins_who_remove_each_other_at_once_leave_one(
    as_anna: FlaskClient, anna: User, bert: User, shared: int, service: Service
) -> None:
    give(as_anna, shared, bert, ADMIN)
    together = threading.Barrier(2)
    outcomes: list[str] = []

    def remove_by(user: User, by: User) -> None:
        together.wait(10)
        try:
            with service.units.write() as uow:
                members.remove(uow, shared, Actor(by.id, Role.USER), user.id)
            outcomes.append("removed")
        except ServiceError as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=remove_by, args=users) for users in ((anna, bert), (bert, anna))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(outcomes) == ["account_not_found", "removed"]
    with service.units.read() as uow:
        assert len(uow.accounts.memberships_in(shared)) == 1


def test_members_leave_by_themselves(as_bert: FlaskClient, bert: User, shared: int) -> None:
    assert remove(as_bert, shared, bert).status_code == 200
    assert error(as_bert.get(f"/api/v1/accounts/{shared}")) == (404, "account_not_found")


def test_a_user_an_account_with_members_depends_on_is_not_switched_off(
    as_anna: FlaskClient, admin: FlaskClient, anna: User, bert: User, shared: int
) -> None:
    off = [
        admin.post(f"/api/v1/users/{anna.id}/deactivate", json={}),
        admin.delete(f"/api/v1/users/{anna.id}"),
        admin.post(f"/api/v1/users/{anna.id}/purge", json={}),
        as_anna.delete("/api/v1/users/profile"),
    ]
    assert {error(response) for response in off} == {(409, "last_account_admin")}
    assert data(as_anna.get("/api/v1/users/profile"))["is_active"]

    give(as_anna, shared, bert, ADMIN)

    assert admin.post(f"/api/v1/users/{anna.id}/deactivate", json={}).status_code == 200


@pytest.mark.usefixtures("shared")
def test_cleanup_leaves_the_last_admin_of_an_account_with_members_alone(
    anna: User, bert: User, deliver: Callable[..., None], clock: ManualClock, published: Published
) -> None:
    """An account of which all members go together needs no Admin any more."""
    clock.advance(timedelta(days=40))
    run = uuid7()
    requests = [
        DeactivationRequested(
            user_id=user.id, run_id=run, cutoff=clock.now(), exempt_roles=("admin",), requested_at=clock.now()
        )
        for user in (anna, bert)
    ]

    deliver(delivered_batch(clock, requests[0]))

    (refused,) = published(UserDeactivationRefused)
    assert (refused.data.user_id, refused.data.reason) == (anna.id, "last_admin")
    deliver(delivered_batch(clock, *requests))
    assert [event.data.user_id for event in published(UserDeactivated)] == [anna.id, bert.id]


def test_a_deleted_account_is_gone_with_its_members_and_its_token(
    as_anna: FlaskClient, as_bert: FlaskClient, shared: int, service: Service, published: Published
) -> None:
    token = UUID(data(as_anna.get(f"/api/v1/accounts/{shared}"))["app_secret_token"])

    assert as_anna.delete(f"/api/v1/accounts/{shared}").status_code == 200

    assert error(as_anna.get(f"/api/v1/accounts/{shared}")) == (404, "account_not_found")
    assert error(as_bert.get(f"/api/v1/accounts/{shared}")) == (404, "account_not_found")
    assert not good(service, token)
    (deleted,) = published(AccountDeleted)
    assert (deleted.data.account_id, deleted.version) == (shared, 2)
    assert len(published(MembershipRevoked)) == 2


def test_who_administers_an_account_sees_its_members_among_the_users(
    as_anna: FlaskClient, as_bert: FlaskClient, admin: FlaskClient, shared: int
) -> None:
    """S2-08, C-4: as far as they have agreed to belong there."""
    assert [user["email"] for user in data(as_anna.get("/api/v1/users"))] == ["anna@example.com", "bert@example.com"]
    assert [user["email"] for user in data(as_bert.get("/api/v1/users"))] == ["bert@example.com"]
    assert len(data(admin.get("/api/v1/users"))) == 3


def test_the_role_on_the_platform_gives_no_right_in_an_account(
    new_user: Callable[..., User], signed_in: Callable[..., FlaskClient], account: int
) -> None:
    as_manager = signed_in(new_user("mia", Role.MANAGER).email)

    assert error(as_manager.get(f"/api/v1/accounts/{account}")) == (404, "account_not_found")


@pytest.fixture
def as_service(service: Service, web: FlaskClient) -> FlaskClient:
    with service.units.write() as uow:
        secret = service_clients.create(uow, "delivery-service", [Scope.LOOK_UP_ACCOUNTS, Scope.READ_USERS]).plain
    body = {"client_id": "delivery-service", "client_secret": secret}
    token = data(web.post("/api/v1/auth/token", json=body))["access_token"]
    client: FlaskClient = web.application.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def test_services_look_up_accounts_by_token_and_who_belongs_to_them(
    as_service: FlaskClient, as_anna: FlaskClient, shared: int, bert: User, admin: FlaskClient
) -> None:
    token = UUID(data(as_anna.get(f"/api/v1/accounts/{shared}"))["app_secret_token"])
    by_token, member = f"/api/v1/accounts/by_token/{hash_of(token)}", f"/api/v1/accounts/{shared}/members/{bert.id}"

    assert data(as_service.get(by_token)) == {"id": shared, "name": "Account 2"}
    assert data(as_service.get(member))["role"] == NORMAL
    assert data(as_anna.get(member))["role"] == NORMAL
    assert error(as_service.get(f"/api/v1/accounts/by_token/{hash_of(uuid4())}")) == (404, "account_not_found")
    assert error(as_service.get(f"/api/v1/accounts/{shared}/members/{uuid4()}")) == (404, "member_not_found")
    for client in (as_anna, admin):
        assert error(client.get(by_token)) == (403, "forbidden")


def test_services_look_up_users_by_address(as_service: FlaskClient, as_anna: FlaskClient, bert: User) -> None:
    """S4-59, C-31: whoever grants a membership by address on somebody's behalf finds the number to name."""
    named = {"email": bert.email}

    assert [user["number"] for user in data(as_service.get("/api/v1/users", query_string=named))] == [bert.number]
    assert data(as_anna.get("/api/v1/users", query_string=named)) == []


def test_services_manage_no_account_and_read_no_token(as_service: FlaskClient, account: int) -> None:
    assert error(as_service.get(f"/api/v1/accounts/{account}")) == (404, "account_not_found")
    assert error(as_service.patch(f"/api/v1/accounts/{account}", json={"name": "Ours"})) == (404, "account_not_found")
