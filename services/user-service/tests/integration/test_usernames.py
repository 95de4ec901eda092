"""A username is another name to sign in with; it opens no door that the address does not open."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError
from werkzeug.test import TestResponse

from event_contracts import Contract, UserUpdated
from service_chassis.clock import ManualClock
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.throttle import ACCOUNT
from user_service.model.user import User
from user_service.usecases.importing import Tally, import_users

LOGIN, OPAQUE, USERS = "/api/v1/auth/login", "/api/v1/auth/opaque-token", "/api/v1/users"
PASSWORD = "correct horse"


@pytest.fixture
def anna(admin: FlaskClient, new_user: Callable[..., User]) -> User:
    """Anna, who is called `annie`, too."""
    anna = new_user("anna")
    assert change(admin, anna, username="Annie").status_code == 200
    return anna


def change(client: FlaskClient, user: User, **changes: Any) -> TestResponse:
    return client.patch(f"{USERS}/{user.id}", json=changes)


def sign_in(web: FlaskClient, path: str = LOGIN, password: str = PASSWORD, **named: Any) -> TestResponse:
    return web.post(path, json={"password": password, **named}, headers={"X-Forwarded-For": "198.51.100.7"})


def data(response: TestResponse) -> Any:
    assert response.status_code < 300, response.text
    return response.get_json()["data"]


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


@pytest.mark.parametrize("path", [LOGIN, OPAQUE])
@pytest.mark.parametrize(
    "named",
    [
        {"email": "annie"},
        {"username": "annie"},
        {"username": " ANNIE "},
        {"username": "anna@example.com"},
        {"email": "anna@example.com"},
    ],
)
def test_who_has_a_username_signs_in_by_it_wherever_by_the_address(
    web: FlaskClient, anna: User, path: str, named: dict[str, str]
) -> None:
    assert data(sign_in(web, path, **named))["user"]["id"] == str(anna.id)


@only_sqlite
@pytest.mark.parametrize("named", [{}, {"email": "annie", "username": "annie"}])
def test_who_signs_in_is_named_exactly_once(web: FlaskClient, anna: User, named: dict[str, str]) -> None:
    refused = sign_in(web, **named)

    assert error(refused) == (400, "validation_failed")
    assert refused.get_json()["data"]["errors"].keys() == {"email"}


@only_sqlite
@pytest.mark.parametrize("path", [LOGIN, OPAQUE])
@pytest.mark.parametrize("body", [None, [], "annie", 7])
def test_what_names_nobody_because_it_is_no_object_is_refused(web: FlaskClient, path: str, body: Any) -> None:
    response = web.post(path, data=json.dumps(body), content_type="application/json")

    assert error(response) == (400, "validation_failed")


@only_sqlite
def test_a_username_nobody_has_is_refused_like_a_wrong_password(web: FlaskClient, anna: User) -> None:
    answers = [
        sign_in(web, **wrong)
        for wrong in (
            {"username": "annie", "password": "wrong"},
            {"username": "nobody"},
            {"username": "no username"},
            {"username": ""},
        )
    ]

    assert [error(answer) for answer in answers] == [(401, "invalid_credentials")] * 4
    assert len({answer.data for answer in answers}) == 1


def test_two_names_are_not_worth_twice_the_guesses(web: FlaskClient, anna: User, clock: ManualClock) -> None:
    guesses = [{"username": "annie"}, {"email": anna.email}] * ACCOUNT.free
    statuses = [sign_in(web, password="wrong", **named).status_code for named in guesses]

    assert statuses == [401] * ACCOUNT.free + [429] * ACCOUNT.free
    assert sign_in(web, username="annie").status_code == 429
    clock.advance(timedelta(seconds=1))
    assert sign_in(web, username="annie").status_code == 200
    assert sign_in(web, email=anna.email, password="wrong").status_code == 401


def test_a_username_nobody_has_is_throttled_like_any_other(web: FlaskClient, anna: User) -> None:
    known = [sign_in(web, username="annie", password="wrong").data for _ in range(ACCOUNT.free + 2)]
    unknown = [sign_in(web, username="nobody", password="wrong").data for _ in range(ACCOUNT.free + 2)]

    assert known == unknown


@only_sqlite
def test_the_database_does_the_same_for_a_name_somebody_has_and_one_nobody_has(
    web: FlaskClient, anna: User, service: Service
) -> None:
    done: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        done.append(statement)

    def asked(name: str) -> list[str]:
        done.clear()
        assert sign_in(web, username=name, password="wrong").status_code == 401
        return list(done)

    for engine in {service.database.engine, service.database.read_engine}:
        event.listen(engine, "before_cursor_execute", note)

    asked("whoever asks first from an address")
    assert asked("annie") == asked("nobody") != []


def test_a_username_belongs_to_one_user_in_any_spelling(
    admin: FlaskClient, anna: User, new_user: Callable[..., User]
) -> None:
    bert = new_user("bert")

    assert error(change(admin, bert, username="aNNie")) == (409, "username_taken")
    assert data(change(admin, anna, username="ANNIE"))["username"] == "annie"
    assert data(change(admin, anna, username=None))["username"] is None
    assert data(change(admin, bert, username="annie"))["username"] == "annie"


@only_sqlite
@pytest.mark.parametrize("username", ["anna@example.com", "an nie", "ännie", "a" * 150 + "a", "", "\u2028"])
def test_what_is_no_username_is_refused(admin: FlaskClient, anna: User, username: str) -> None:
    status, code = error(change(admin, anna, username=username))

    assert status == 400
    assert code in {"invalid_username", "validation_failed"}


@only_sqlite
def test_a_username_may_be_long_and_hold_these(admin: FlaskClient, anna: User) -> None:
    longest = "a1._+-" * 25

    assert data(change(admin, anna, username=longest))["username"] == longest


def test_an_admin_gives_a_new_user_a_username_and_others_do_not(
    admin: FlaskClient,
    web: FlaskClient,
    anna: User,
    signed_in: Callable[..., FlaskClient],
    mails: Callable[[], list[dict[str, Any]]],
) -> None:
    bert = {"email": "bert@example.com", "username": "Bert.B"}

    for client in (web, signed_in(anna.email)):
        refused = client.post(USERS, json=bert | {"password": PASSWORD})
        assert error(refused)[0] == 403
        assert "may_manage_users" in refused.get_json()["message"]
    assert error(change(signed_in(anna.email), anna, username="other")) == (403, "may_not_edit")
    assert data(admin.post(USERS, json=bert))["user"]["username"] == "bert.b"
    assert error(admin.post(USERS, json=bert | {"email": "b@example.com"})) == (409, "username_taken")
    chosen = {"token": mails()[0]["token"], "password": PASSWORD}
    assert web.post("/api/v1/auth/password-reset/confirm", json=chosen).status_code == 200
    assert sign_in(web, username="bert.b").status_code == 200


def test_views_show_the_username_and_the_history_who_changed_it(
    admin: FlaskClient,
    anna: User,
    signed_in: Callable[..., FlaskClient],
    published: Callable[[type[Contract]], list[Event]],
) -> None:
    assert data(signed_in("annie").get(f"{USERS}/profile"))["username"] == "annie"
    assert data(admin.get(f"{USERS}/{anna.id}"))["username"] == "annie"
    assert [user["username"] for user in data(admin.get(USERS))] == [None, "annie"]
    entries = data(admin.get(f"{USERS}/{anna.id}/history"))
    assert "username_changed" in [entry["action"] for entry in entries]
    assert published(UserUpdated) == []


def test_a_purge_erases_the_username_and_an_export_holds_it(admin: FlaskClient, anna: User, web: FlaskClient) -> None:
    assert data(admin.get(f"{USERS}/{anna.id}/export"))["user"]["username"] == "annie"

    assert data(admin.post(f"{USERS}/{anna.id}/purge", json={}))["username"] is None

    assert data(admin.get(f"{USERS}/{anna.id}/export"))["user"]["username"] is None
    assert sign_in(web, username="annie").status_code == 401


def test_a_reset_lets_guesses_by_username_be_forgotten(
    web: FlaskClient, anna: User, mails: Callable[[], list[dict[str, Any]]]
) -> None:
    for _ in range(ACCOUNT.free):
        sign_in(web, username="annie", password="wrong")
    web.post("/api/v1/auth/password-reset", json={"email": anna.email})
    body = {"token": mails()[-1]["token"], "password": "another horse"}
    data(web.post("/api/v1/auth/password-reset/confirm", json=body))

    assert sign_in(web, username="annie", password="another horse").status_code == 200


class TestImport:
    @pytest.fixture
    def run(self, service: Service, tmp_path: Path) -> Callable[[str], Tally]:
        def run(content: str) -> Tally:
            (tmp_path / "users.csv").write_text(content, encoding="utf-8")
            return import_users(service.units, tmp_path / "users.csv", tmp_path / "rejects.csv")

        return run

    @pytest.mark.usefixtures("anna")
    def test_usernames_come_along_and_second_ones_go_to_the_rejects(
        self, run: Callable[[str], Tally], admin: FlaskClient, tmp_path: Path
    ) -> None:
        tally = run(
            "username,email\n"
            "Bert,bert@example.com\n"
            ",carla@example.com\n"
            "BERT,dora@example.com\n"
            "annie,emil@example.com\n"
            "no name,fritz@example.com\n"
            ",gusti@example.com\n"
            "new,anna@example.com\n"
            "ida,dora@example.com\n"
        )

        users = {user["email"].partition("@")[0]: user["username"] for user in data(admin.get(USERS))}
        assert users == {"admin": None, "anna": "annie", "bert": "bert", "carla": None, "gusti": None, "dora": "ida"}
        assert (tally.read, tally.imported, tally.existing, tally.rejected) == (8, 4, 1, 3)
        told = (tmp_path / "rejects.csv").read_text(encoding="utf-8").splitlines()
        assert sorted(line.rpartition(".,")[0] for line in told[1:]) == [
            "4,Line 2 has the same username",
            "5,Somebody else has the username 'annie'",
            "6,'no name' is no username",
        ]

    def test_an_import_repeated_changes_nothing(self, run: Callable[[str], Tally]) -> None:
        run("username,email\nbert,bert@example.com\n")

        again = run("username,email\nbert,bert@example.com\n")

        assert (again.imported, again.existing, again.rejected) == (0, 1, 0)


def test_the_database_has_the_last_word_on_who_is_called_so(service: Service, new_user: Callable[..., User]) -> None:
    anna, bert = new_user("anna"), new_user("bert")
    call(service, anna)

    with pytest.raises(IntegrityError):
        call(service, bert)


def call(service: Service, user: User) -> None:
    with service.units.write() as uow:
        uow.users.get(user.id).call("annie")
