"""S2-02, S2-04, C-5: everybody has an account of one's own, opened by registering or else by signing in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import TestResponse

from event_contracts import AccountCreated, Contract, MembershipGranted
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.user import User
from user_service.usecases.importing import import_users

Published = Callable[[type[Contract]], list[Event]]
PASSWORD = "correct horse"
ACCOUNTS = "/api/v1/accounts"
DJANGO_HASH = "pbkdf2_sha256$1000$seasalt$GYPsLisEsszbHrPGSLZAUayJhTbiptdVv+vkyMFr7GY="
DJANGO_PASSWORD = "corréct horse"


@pytest.fixture
def imported(service: Service, tmp_path: Path) -> str:
    """The address of somebody who came with an import, and has no account yet."""
    (tmp_path / "users.csv").write_text(f"email,password_hash\nimke@example.com,{DJANGO_HASH}\n", encoding="utf-8")
    assert import_users(service.units, tmp_path / "users.csv", tmp_path / "rejects.csv").imported == 1
    return "imke@example.com"


def data(response: TestResponse) -> Any:
    assert response.status_code < 300, response.text
    return response.get_json()["data"]


def login(web: FlaskClient, email: str, password: str = PASSWORD, kind: str = "login") -> Any:
    return data(web.post(f"/api/v1/auth/{kind}", json={"email": email, "password": password}))["user"]


def test_who_registers_is_told_at_sign_in_which_account_is_the_own_one(web: FlaskClient, anna: User) -> None:
    """S2-04."""
    home = login(web, anna.email)["home_account_id"]

    tokens = data(web.post("/api/v1/auth/login", json={"email": anna.email, "password": PASSWORD}))
    account = web.get(f"{ACCOUNTS}/{home}", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert data(account)["name"] == f"Account {anna.number}"


@pytest.mark.parametrize("kind", ["login", "opaque-token"])
def test_who_has_no_account_is_given_one_at_the_first_sign_in(
    web: FlaskClient, imported: str, kind: str, published: Published
) -> None:
    before = len(published(AccountCreated))

    first = login(web, imported, DJANGO_PASSWORD, kind)
    second = login(web, imported, DJANGO_PASSWORD, kind)

    assert first["home_account_id"] == second["home_account_id"] is not None
    *_, told = published(AccountCreated)
    assert (len(published(AccountCreated)), told.data.account_id) == (before + 1, first["home_account_id"])
    granted = published(MembershipGranted)[-1].data
    assert (granted.account_id, str(granted.user_id), granted.role) == (first["home_account_id"], first["id"], 1)


@only_sqlite
def test_a_wrong_password_opens_no_account(web: FlaskClient, imported: str, published: Published) -> None:
    before = published(AccountCreated)

    web.post("/api/v1/auth/login", json={"email": imported, "password": "wrong"})

    assert published(AccountCreated) == before


@only_sqlite
def test_a_sign_in_asks_no_question_about_accounts(web: FlaskClient, anna: User, service: Service) -> None:
    asked: list[str] = []
    for engine in {service.database.engine, service.database.read_engine}:
        event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    login(web, anna.email)

    assert not [statement for statement in asked if "accounts" in statement or "memberships" in statement]


def test_a_deleted_account_is_not_opened_again(
    web: FlaskClient, anna: User, signed_in: Callable[..., FlaskClient], published: Published
) -> None:
    home = login(web, anna.email)["home_account_id"]
    opened = len(published(AccountCreated))

    data(signed_in(anna.email).delete(f"{ACCOUNTS}/{home}"))

    assert [login(web, anna.email)["home_account_id"] for _ in range(2)] == [None, None]
    assert len(published(AccountCreated)) == opened
    assert data(signed_in(anna.email).get("/api/v1/users/profile"))["home_account_id"] is None


def test_an_account_one_no_longer_belongs_to_is_not_ones_own(
    web: FlaskClient,
    admin: FlaskClient,
    anna: User,
    new_user: Callable[..., User],
    signed_in: Callable[..., FlaskClient],
) -> None:
    bert, home = new_user("bert"), login(web, anna.email)["home_account_id"]
    as_anna = signed_in(anna.email)
    data(admin.post(f"{ACCOUNTS}/{home}/members", json={"user_id": str(bert.id), "role": 1}))

    data(as_anna.delete(f"{ACCOUNTS}/{home}/members/{anna.id}"))

    assert login(web, anna.email)["home_account_id"] is None
    assert login(web, bert.email)["home_account_id"] not in {None, home}


@only_sqlite
def test_the_end_of_another_account_changes_nothing(
    web: FlaskClient, anna: User, signed_in: Callable[..., FlaskClient]
) -> None:
    home = login(web, anna.email)["home_account_id"]
    other = data(signed_in(anna.email).post(ACCOUNTS, json={"name": "Other"}))["id"]

    data(signed_in(anna.email).delete(f"{ACCOUNTS}/{other}"))

    assert login(web, anna.email)["home_account_id"] == home


def test_who_is_purged_has_no_account_and_an_export_says_which_one_there_was(admin: FlaskClient, anna: User) -> None:
    path = f"/api/v1/users/{anna.id}"
    home = data(admin.get(path))["home_account_id"]
    assert data(admin.get(f"{path}/export"))["user"]["home_account_id"] == home

    assert data(admin.post(f"{path}/purge", json={}))["home_account_id"] is None

    assert data(admin.get(f"{path}/export"))["user"]["home_account_id"] is None
