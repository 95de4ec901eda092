"""What admins do to users: S2-08 to S2-10, S3-03, S3-11, S3-12, and lists that are filtered and sorted."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from event_contracts import Contract, UserUpdated
from service_chassis.clock import ManualClock
from service_chassis.errors import ServiceError
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.plugin import only_postgresql, only_sqlite
from service_chassis.testing.waiting import wait_until
from user_service.model.actor import Actor
from user_service.model.errors import InvalidOneTimeToken
from user_service.model.one_time_token import Purpose
from user_service.model.user import Role, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import administration

Published = Callable[[type[Contract]], list[Event]]
HOUR = timedelta(hours=1)


def data(response: TestResponse) -> Any:
    return response.get_json()["data"]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def change(client: FlaskClient, user: User, **changes: Any) -> TestResponse:
    return client.patch(f"/api/v1/users/{user.id}", json=changes)


def emails(client: FlaskClient, **query: Any) -> list[str]:
    return [user["email"].partition("@")[0] for user in data(client.get("/api/v1/users", query_string=query))]


def test_an_admin_may_give_a_new_user_a_password_in_a_demo(admin: FlaskClient, web: FlaskClient) -> None:
    """S3-12, S3-24: walk-throughs make people and sign in as them."""
    anna = {"email": "anna@example.com", "password": "correct horse"}

    assert admin.post("/api/v1/users", json=anna).status_code == 201

    assert web.post("/api/v1/auth/login", json=anna).status_code == 200


def test_an_admin_changes_name_address_and_role_in_one_go(admin: FlaskClient, anna: User, published: Published) -> None:
    """S2-10, S3-03."""
    changed = data(change(admin, anna, name="Anna L", email="Anna.L@Example.com", role="manager"))

    assert (changed["name"], changed["email"], changed["role"]) == ("Anna L", "anna.l@example.com", "manager")
    (told,) = published(UserUpdated)
    assert (told.data.name, told.data.email, told.data.role) == ("Anna L", "anna.l@example.com", "manager")
    history = data(admin.get(f"/api/v1/users/{anna.id}/history"))
    assert sorted((entry["action"], entry["reason"]) for entry in history) == [
        ("user_email_changed", None),
        ("user_registered", None),
        ("user_renamed", None),
        ("user_role_changed", "user to manager"),
    ]


@only_sqlite
def test_an_admin_who_replaces_a_user_says_everything_that_may_be_changed(admin: FlaskClient, anna: User) -> None:
    """S2-10, C-34."""
    path = f"/api/v1/users/{anna.id}"
    whole = {"name": "Anna L", "email": "anna.l@example.com", "role": "manager"}
    assert change(admin, anna, username="annie").status_code == 200

    refused = admin.put(path, json={"name": "Anna L"})
    replaced = data(admin.put(path, json=whole))

    assert error(refused) == (400, "validation_failed")
    assert refused.get_json()["data"]["errors"].keys() == {"email", "role"}
    assert {name: replaced[name] for name in whole} == whole
    assert replaced["username"] is None


@only_sqlite
def test_users_who_replace_themselves_name_the_name_and_nothing_else(
    signed_in: Callable[..., FlaskClient], anna: User, bert: User
) -> None:
    """S2-10, C-34."""
    as_anna = signed_in(anna.email)

    assert data(as_anna.put(f"/api/v1/users/{anna.id}", json={"name": "Anna L"}))["name"] == "Anna L"
    assert error(as_anna.put(f"/api/v1/users/{anna.id}", json={})) == (400, "validation_failed")
    assert error(as_anna.put(f"/api/v1/users/{anna.id}", json={"name": "A", "role": "admin"})) == (
        403,
        "may_not_edit",
    )
    assert error(as_anna.put(f"/api/v1/users/{bert.id}", json={"name": "Mine"})) == (404, "user_not_found")


def test_another_role_ends_the_sessions_whose_tokens_name_the_old_one(
    admin: FlaskClient, anna: User, signed_in: Callable[..., FlaskClient]
) -> None:
    as_anna = signed_in(anna.email)
    assert change(admin, anna, role="manager").status_code == 200

    wait_until(lambda: as_anna.get("/api/v1/users/profile").status_code == 401)

    assert change(admin, anna, role="manager", name="Anna").status_code == 200
    assert signed_in(anna.email).get("/api/v1/users/profile").status_code == 200


def test_users_change_their_own_name_and_nothing_else(
    anna: User, new_user: Callable[..., User], signed_in: Callable[..., FlaskClient]
) -> None:
    """S2-10, S3-11, e-5: nobody takes over or promotes anybody."""
    bert, as_anna = new_user("bert"), signed_in(anna.email)

    assert data(change(as_anna, anna, name="Anna L"))["name"] == "Anna L"
    assert error(change(as_anna, anna, role="admin")) == (403, "may_not_edit")
    assert error(change(as_anna, anna, email="other@example.com", name="Anna")) == (403, "may_not_edit")
    assert error(change(as_anna, bert, name="Bad")) == (404, "user_not_found")
    for refused in (
        as_anna.delete(f"/api/v1/users/{bert.id}"),
        as_anna.post(f"/api/v1/users/{bert.id}/purge", json={}),
    ):
        assert error(refused) == (403, "forbidden")


@only_sqlite
@pytest.mark.parametrize("role", [Role.MANAGER, Role.USER])
def test_only_admins_manage_users(
    role: Role, anna: User, new_user: Callable[..., User], signed_in: Callable[..., FlaskClient]
) -> None:
    """S3-25: the refusal names the permission."""
    client = signed_in(new_user("mia", role).email)

    refused = client.delete(f"/api/v1/users/{anna.id}")

    assert error(refused) == (403, "forbidden")
    assert "may_manage_users" in refused.get_json()["message"]


def test_an_address_belongs_to_one_user(admin: FlaskClient, anna: User, new_user: Callable[..., User]) -> None:
    bert = new_user("bert")

    assert error(change(admin, anna, email="BERT@example.com")) == (409, "email_taken")
    assert error(change(admin, anna, email="nobody")) == (400, "invalid_email")
    assert change(admin, bert, email="bert@example.com").status_code == 200


def test_a_mailbox_a_user_no_longer_has_opens_nothing(admin: FlaskClient, anna: User, service: Service) -> None:
    with service.units.write() as uow:
        lifetime = timedelta(hours=1)
        token = uow.one_time_tokens.issue(anna.id, Purpose.RESET_PASSWORD, anna.email, at=uow.now, lifetime=lifetime)

    changed = data(change(admin, anna, email="anna.l@example.com"))

    assert changed["email_verified_at"] is None
    with service.units.read() as uow, pytest.raises(InvalidOneTimeToken):
        uow.one_time_tokens.holder(token, Purpose.RESET_PASSWORD, at=uow.now)


def test_of_an_address_an_admin_changes_both_addresses_are_told(
    admin: FlaskClient, anna: User, web: FlaskClient, mails: Callable[[], list[dict[str, Any]]]
) -> None:
    """The old one is told and can do nothing; the new one is asked to confirm itself."""
    change(admin, anna, email="anna.l@example.com")
    change(admin, anna, email="Anna.L@example.com")

    to_old, to_new = mails()
    assert to_old == {"to": anna.email, "template": "email_changed", "email": "anna.l@example.com"}
    assert (to_new["to"], to_new["template"]) == ("anna.l@example.com", "verify_email")
    confirmed = data(web.post("/api/v1/auth/verify-email", json={"token": to_new["token"]}))
    assert confirmed["email"] == "anna.l@example.com"


@only_postgresql
@pytest.mark.parametrize(
    ("changes", "code"), [({"email": "one@example.com"}, "email_taken"), ({"username": "one"}, "username_taken")]
)
def test_of_two_who_are_given_the_same_name_at_once_one_gets_it(
    service: Service,
    anna: User,
    new_user: Callable[..., User],
    *,
    blocked: Callable[[], bool],
    changes: dict[str, Any],
    code: str,
) -> None:
    bert, by = new_user("bert"), Actor(anna.id, Role.ADMIN)
    lifetimes = service.parts.settings.one_time_tokens

    def take(user: User, uow: UnitOfWork) -> None:
        administration.change(uow, user.id, by, changes, tokens_live=HOUR, lifetimes=lifetimes)

    def take_beside() -> None:
        with service.units.write() as uow:
            take(bert, uow)

    with ThreadPoolExecutor() as pool:
        with service.units.write() as uow:
            take(anna, uow)
            beside = pool.submit(take_beside)
            wait_until(blocked)
        refusal = beside.exception(10)

    assert isinstance(refusal, ServiceError)
    assert refusal.code == code


def test_deleting_switches_off_and_deletes_nothing(admin: FlaskClient, anna: User) -> None:
    """S3-12."""
    assert data(admin.delete(f"/api/v1/users/{anna.id}"))["status"] == "deactivated"
    assert data(admin.get(f"/api/v1/users/{anna.id}"))["email"] == anna.email
    assert error(admin.delete(f"/api/v1/users/{anna.id}")) == (409, "already_deactivated")


def test_the_last_admin_of_the_platform_is_not_demoted(admin: FlaskClient, new_user: Callable[..., User]) -> None:
    me = data(admin.get("/api/v1/users/profile"))["id"]
    path = f"/api/v1/users/{me}"

    for refused in (admin.patch(path, json={"role": "user"}), admin.delete(path), admin.post(f"{path}/purge", json={})):
        assert error(refused) == (409, "last_admin")

    new_user("olga", Role.ADMIN)
    assert admin.patch(path, json={"role": "manager"}).status_code == 200


def test_two_admins_who_demote_each_other_at_once_leave_one(service: Service, new_user: Callable[..., User]) -> None:
    with service.units.read() as uow:
        first = uow.users.by_email("admin@example.com")
    pair = [first, new_user("olga", Role.ADMIN)]
    together = threading.Barrier(2)
    outcomes: list[str] = []

    def demote(user: User, by: User) -> None:
        together.wait(10)
        try:
            with service.units.write() as uow:
                actor = Actor(by.id, Role.ADMIN)
                settings = service.parts.settings
                administration.change(
                    uow, user.id, actor, {"role": "user"}, tokens_live=HOUR, lifetimes=settings.one_time_tokens
                )
            outcomes.append("demoted")
        except ServiceError as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=demote, args=users) for users in (pair, reversed(pair))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(outcomes) == ["demoted", "last_admin"]


def test_the_list_is_sorted_as_asked_and_goes_on_by_cursor(
    admin: FlaskClient, new_user: Callable[..., User], signed_in: Callable[..., FlaskClient], clock: ManualClock
) -> None:
    for name in ("carla", "anna", "bert"):
        new_user(name)
    clock.advance(HOUR / 2)
    signed_in("anna@example.com")

    assert emails(admin) == ["admin", "carla", "anna", "bert"]
    assert emails(admin, sort="-created_at") == ["bert", "anna", "carla", "admin"]
    assert emails(admin, sort="email") == ["admin", "anna", "bert", "carla"]
    assert emails(admin, sort="-email", limit=2) == ["carla", "bert"]
    assert emails(admin, sort="-last_activity_at")[0] == "anna"
    assert emails(admin, sort="last_activity_at") == ["admin", "carla", "bert", "anna"]
    seen, cursor = [], ""
    while cursor is not None:
        query = {"sort": "-last_activity_at", "limit": 1, "cursor": cursor}
        page = admin.get("/api/v1/users", query_string=query).get_json()
        seen += [user["email"].partition("@")[0] for user in page["data"]]
        cursor = page["meta"]["next_cursor"]
    assert seen == ["anna", "bert", "carla", "admin"]


def test_filters_go_together(admin: FlaskClient, anna: User, new_user: Callable[..., User], clock: ManualClock) -> None:
    """S2-09."""
    mia = new_user("mia", Role.MANAGER)
    admin.delete(f"/api/v1/users/{anna.id}")
    clock.advance(HOUR / 2)
    new_user("annabel")

    assert emails(admin, email="ANNA") == ["anna", "annabel"]
    assert emails(admin, email="anna", status="active") == ["annabel"]
    assert emails(admin, role="manager") == ["mia"]
    assert emails(admin, inactive_since=clock.now().isoformat(), status="active") == ["admin", "mia"]
    assert emails(admin, number=mia.number) == ["mia"]
    for query in ({"status": "asleep"}, {"role": "king"}, {"sort": "age"}, {"number": 0}, {"emial": "anna"}):
        assert error(admin.get("/api/v1/users", query_string=query)) == (400, "validation_failed")


def test_the_history_of_a_user_is_read_piece_by_piece(admin: FlaskClient, anna: User, clock: ManualClock) -> None:
    for number in range(3):
        clock.advance(timedelta(seconds=1))
        change(admin, anna, name=f"Anna {number}")
    seen, cursor = [], ""
    while cursor is not None:
        query = {"limit": 3, "cursor": cursor}
        page = admin.get(f"/api/v1/users/{anna.id}/history", query_string=query).get_json()
        seen.append([entry["action"] for entry in page["data"]])
        cursor = page["meta"]["next_cursor"]

    assert seen == [["user_renamed"] * 3, ["user_registered"]]
    assert len(data(admin.get(f"/api/v1/users/{anna.id}/history", query_string={"limit": 2}))) == 2


def test_who_was_created_by_an_admin_is_who_the_history_says(admin: FlaskClient) -> None:
    me = data(admin.get("/api/v1/users/profile"))["id"]
    body = {"email": "mia@example.com", "role": "manager"}

    made = data(admin.post("/api/v1/users", json=body))["user"]

    (entry,) = data(admin.get(f"/api/v1/users/{UUID(made['id'])}/history"))
    assert (made["role"], entry["action"], entry["actor"]) == ("manager", "user_registered", me)
