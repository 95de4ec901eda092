"""What services may ask for in their own name."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import TestResponse

from service_chassis.ids import uuid7
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.service_client import OWN_SERVICES, Scope
from user_service.model.user import User
from user_service.usecases import lifecycle, service_clients

LOOKUP = "/internal/users/lookup"
NewUser = Callable[..., User]


WANTED = {"notification_type": "email", "template_code": "welcome"}
REFUSALS = {"forbidden", "may_not_notify", "user_not_found", "account_not_found"}
"""Who may not know that there is something hears that there is nothing."""


def granted(service: Service, web: FlaskClient, *scopes: Scope) -> dict[str, Any]:
    with service.units.write() as uow:
        secret = service_clients.create(uow, "task-service", scopes).plain
    answer = web.post("/api/v1/auth/token", json={"client_id": "task-service", "client_secret": secret})
    return dict(answer.get_json()["data"])


@pytest.fixture
def as_service(service: Service, web: FlaskClient) -> FlaskClient:
    return acting(service, web, Scope.LOOK_UP_STATES)


def acting(service: Service, web: FlaskClient, *scopes: Scope) -> FlaskClient:
    client: FlaskClient = web.application.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {granted(service, web, *scopes)['access_token']}"
    return client


def about(client: FlaskClient, *ids: object) -> TestResponse:
    return client.post(LOOKUP, json={"ids": [str(user_id) for user_id in ids]})


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def test_a_service_asks_about_many_users_and_hears_of_those_there_are(
    as_service: FlaskClient, new_user: NewUser, service: Service
) -> None:
    anna, bert = new_user("anna"), new_user("bert")
    with service.units.write() as uow:
        lifecycle.deactivate(uow, bert.id, "", by=uuid7(), tokens_live=timedelta(hours=1))

    found = about(as_service, anna.id, uuid7(), bert.id).get_json()

    state = {"role": "user", "reactivated_at": None, "username": None}
    assert sorted(found, key=lambda user: str(user["status"])) == [
        {"id": str(anna.id), "status": "active", "version": 1, "name": anna.name, **state},
        {"id": str(bert.id), "status": "deactivated", "version": 2, "name": bert.name, **state},
    ]
    assert about(as_service).get_json() == []


@only_sqlite
def test_five_hundred_users_are_one_query(as_service: FlaskClient, new_user: NewUser, service: Service) -> None:
    ids = [new_user(f"user{number}").id for number in range(3)] + [uuid7() for _ in range(497)]
    about(as_service)
    statements: list[str] = []
    event.listen(service.database.read_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    found = about(as_service, *ids).get_json()

    assert len(found) == 3
    assert len([statement for statement in statements if "FROM users" in statement]) == 1


@only_sqlite
def test_nobody_but_a_service_may_ask(web: FlaskClient, admin: FlaskClient, signed_in: Any, new_user: NewUser) -> None:
    anna = new_user("anna")

    assert error(about(web, anna.id)) == (401, "unauthenticated")
    for client in (admin, signed_in(anna.email)):
        assert error(about(client, anna.id)) == (403, "forbidden")


@only_sqlite
@pytest.mark.parametrize("body", [{}, [], {"ids": "anna"}, {"ids": ["anna"]}, {"ids": [str(uuid7())] * 501}])
def test_a_question_of_another_form_is_refused(as_service: FlaskClient, body: object) -> None:
    assert error(as_service.post(LOOKUP, json=body)) == (400, "malformed_json")


@only_sqlite
def test_a_service_has_no_token_that_outlives_those_of_users(service: Service, web: FlaskClient) -> None:
    """Otherwise the key that signed it could be withdrawn before it has expired."""
    tokens = service.parts.tokens
    assert granted(service, web)["expires_in"] == 600

    tokens.rules = replace(tokens.rules, lifetime=timedelta(minutes=5))

    assert granted(service, web)["expires_in"] == 300


def doors(client: FlaskClient, anna: User) -> dict[Scope, TestResponse]:
    """Knock with a service's token at a door for each scope."""
    email = {"notification_id": str(uuid7()), "status": "delivered"}
    return {
        Scope.LOOK_UP_STATES: about(client, anna.id),
        Scope.READ_USERS: client.get(f"/api/v1/users/{anna.id}"),
        Scope.LOOK_UP_ACCOUNTS: client.get(f"/api/v1/accounts/{anna.home}/members/{anna.id}"),
        Scope.NOTIFY: client.post("/api/v1/notifications", json=WANTED | {"user_id": str(anna.id)}),
        Scope.REPORT_DELIVERIES: client.post("/api/v1/email/status", json=email),
    }


@only_sqlite
@pytest.mark.parametrize("scope", Scope)
def test_a_service_does_what_its_scope_names_and_nothing_else(
    service: Service, web: FlaskClient, new_user: NewUser, scope: Scope
) -> None:
    anna = new_user("anna")

    answers = doors(acting(service, web, scope), anna)

    assert answers.keys() == set(Scope)
    assert {each for each, answer in answers.items() if code(answer) not in REFUSALS} == {scope}


@only_sqlite
def test_task_service_reads_no_address_and_notifies_nobody(
    service: Service, web: FlaskClient, new_user: NewUser
) -> None:
    task_service = acting(service, web, *OWN_SERVICES["task-service"])

    assert code(task_service.post("/api/v1/notifications", json=WANTED | {"user_id": str(uuid7())})) == "may_not_notify"
    assert task_service.get("/api/v1/users").get_json()["data"] == []
    assert "email" not in about(task_service, new_user("anna").id).get_data(as_text=True)


def code(answer: TestResponse) -> str | None:
    """Return the code of an error; a bare answer is none."""
    body = answer.get_json()
    return body.get("error") if isinstance(body, dict) else None
