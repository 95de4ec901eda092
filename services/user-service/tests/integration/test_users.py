import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from event_contracts import Contract, UserRegistered
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Event
from service_chassis.testing.plugin import only_sqlite
from user_service.model.user import Role, User

ANNA = {"email": "Anna@Example.com", "password": "correct horse", "name": " Anna "}
Published = Callable[[type[Contract]], list[Event]]


def register(client: FlaskClient, key: str | None = None, header: str = "Idempotency-Key", **body: Any) -> TestResponse:
    headers = {} if key is None else {header: key}
    return client.post("/api/v1/users", json=ANNA | body, headers=headers)


def add(client: FlaskClient, **body: Any) -> TestResponse:
    """Have somebody added by who is signed in."""
    return client.post("/api/v1/users", json={"email": ANNA["email"]} | body)


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def emails(response: TestResponse) -> list[str]:
    assert response.status_code == 200, response.get_json()
    return [user["email"] for user in response.get_json()["data"]]


def test_anybody_can_register(web: FlaskClient, published: Published) -> None:
    """S2-01, S3-02, S4-05."""
    response = register(web)

    assert (response.status_code, response.get_json()["message"]) == (201, "User registered")
    user = response.get_json()["data"]["user"]
    assert (user["email"], user["name"], user["role"]) == ("anna@example.com", "Anna", "user")
    assert (user["is_active"], user["last_login_at"]) == (True, None)
    assert "password" not in response.text
    event = published(UserRegistered)[-1]
    assert (str(event.data.user_id), event.data.number, event.version) == (user["id"], user["number"], 1)


def test_an_address_is_taken_once_in_any_spelling(web: FlaskClient, published: Published) -> None:
    """S0-01."""
    register(web)
    before = len(published(UserRegistered))

    assert error(register(web, email="ANNA@example.COM")) == (409, "email_taken")
    assert len(published(UserRegistered)) == before


@pytest.mark.parametrize("header", ["Idempotency-Key", "X-Request-ID"])
def test_a_registration_repeated_under_its_key_registers_once(
    web: FlaskClient, published: Published, header: str
) -> None:
    """S4-18, S4-57."""
    first, again = register(web, key="one", header=header), register(web, key="one", header=header)

    assert (again.status_code, again.data) == (201, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert [event.data.email for event in published(UserRegistered)][1:] == ["anna@example.com"]


@only_sqlite
def test_who_registers_gives_a_password(web: FlaskClient) -> None:
    refused = web.post("/api/v1/users", json={"email": "anna@example.com"})

    assert error(refused) == (400, "validation_failed")
    assert list(refused.get_json()["data"]["errors"]) == ["password"]


def test_a_key_does_not_serve_another_registration(web: FlaskClient) -> None:
    register(web, key="one")

    assert error(register(web, key="one", email="bert@example.com")) == (422, "idempotency_key_reused")


def test_a_registration_that_failed_leaves_its_key_to_the_next(web: FlaskClient) -> None:
    assert error(register(web, key="one", password="short")) == (400, "weak_password")

    assert register(web, key="one").status_code == 201


@only_sqlite
def test_a_registration_that_makes_no_user_is_refused(web: FlaskClient) -> None:
    refused: list[tuple[dict[str, str], str]] = [
        ({"email": "anna"}, "invalid_email"),
        ({"email": "a@b c.example"}, "invalid_email"),
        ({"password": "short"}, "weak_password"),
        ({"role": "owner"}, "validation_failed"),
        ({"name": "x" * 201}, "validation_failed"),
        ({"name": "An\x1bna"}, "validation_failed"),
        ({"push_token": "token\r\nX-Other: header"}, "validation_failed"),
        ({"email": "an\u200bna@example.com"}, "invalid_email"),
    ]

    assert [error(register(web, **body)) for body, _ in refused] == [(400, code) for _, code in refused]


@only_sqlite
def test_nobody_but_an_admin_makes_more_than_a_user(
    web: FlaskClient, new_user: Callable[..., User], signed_in: Callable[..., FlaskClient]
) -> None:
    manager = signed_in(new_user("mia", Role.MANAGER).email)

    for client, role in itertools.product((web, manager), (Role.MANAGER, Role.ADMIN)):
        assert error(register(client, role=role)) == (403, "forbidden")


@only_sqlite
@pytest.mark.parametrize("role", [Role.MANAGER, Role.USER])
def test_who_is_signed_in_and_no_admin_adds_nobody_and_learns_of_nobody(
    role: Role, new_user: Callable[..., User], signed_in: Callable[..., FlaskClient]
) -> None:
    """S3-11: being signed in is no way around what slows registrations down."""
    client = signed_in(new_user("mia", role).email)

    answers = [add(client, email=email) for email in ("mia@example.com", "nobody@example.com")]

    assert [error(answer) for answer in answers] == [(403, "forbidden")] * 2
    assert answers[0].data == answers[1].data
    assert "may_manage_users" in answers[0].get_json()["message"]


def test_who_was_added_by_an_admin_sets_a_password_by_mail_and_nobody_else_ever_knew_one(
    admin: FlaskClient, web: FlaskClient, mails: Callable[[], list[dict[str, Any]]]
) -> None:
    """S3-03, S3-12."""
    login = {"email": "anna@example.com", "password": "correct horse"}

    assert add(admin).status_code == 201

    assert error(web.post("/api/v1/auth/login", json=login)) == (401, "invalid_credentials")
    (mail,) = mails()
    assert (mail["to"], mail["template"]) == (login["email"], "password_reset")
    chosen = {"token": mail["token"], "password": login["password"]}
    assert web.post("/api/v1/auth/password-reset/confirm", json=chosen).status_code == 200
    user = web.post("/api/v1/auth/login", json=login).get_json()["data"]["user"]
    assert user["email_verified_at"] is not None


def test_an_admin_gives_roles_and_the_history_says_so(admin: FlaskClient) -> None:
    """S3-02, S3-03."""
    made = add(admin, role="manager").get_json()["data"]["user"]

    history = admin.get(f"/api/v1/users/{made['id']}/history").get_json()["data"]

    assert made["role"] == "manager"
    assert [(entry["action"], entry["actor"]) for entry in history] == [("user_registered", own_id(admin))]


def own_id(client: FlaskClient) -> str:
    users = client.get("/api/v1/users", query_string={"email": "admin@"}).get_json()["data"]
    return str(users[0]["id"])


@only_sqlite
def test_a_bad_token_is_not_taken_for_no_token(web: FlaskClient) -> None:
    response = web.post("/api/v1/users", json=ANNA, headers={"Authorization": "Bearer nonsense"})

    assert error(response) == (401, "invalid_token")


@pytest.fixture
def crowd(new_user: Callable[..., User], clock: ManualClock) -> list[User]:
    """Twelve users, one registered each minute."""
    users = []
    for number in range(12):
        users.append(new_user(f"user{number:02}", Role.MANAGER if number % 4 == 0 else Role.USER))
        clock.advance(timedelta(minutes=1))
    return users


def test_users_are_listed_page_by_page(admin: FlaskClient, crowd: list[User]) -> None:
    everybody = ["admin@example.com", *(user.email for user in crowd)]

    pages = [admin.get("/api/v1/users", query_string={"limit": 5, "page": page}) for page in (1, 2, 3, 4)]

    assert [emails(page) for page in pages] == [everybody[:5], everybody[5:10], everybody[10:], []]
    assert pages[0].get_json()["meta"] == {
        "total": 13,
        "limit": 5,
        "page": 1,
        "total_pages": 3,
        "has_next": True,
        "has_previous": False,
    }
    assert [page.get_json()["meta"]["has_next"] for page in pages] == [True, True, False, False]
    assert pages[0].headers["Link"] == '</api/v1/users?limit=5&page=2>; rel="next"'


def test_users_are_listed_by_cursor(admin: FlaskClient, crowd: list[User]) -> None:
    """S4-57."""
    seen, cursor = [], ""
    while cursor is not None:
        page = admin.get("/api/v1/users", query_string={"limit": 5, "cursor": cursor})
        seen += emails(page)
        meta = page.get_json()["meta"]
        cursor = meta["next_cursor"]

    assert seen == ["admin@example.com", *(user.email for user in crowd)]
    assert (meta["total"], meta["page"], meta["has_previous"]) == (13, None, True)


def test_the_list_can_be_filtered(admin: FlaskClient, crowd: list[User], clock: ManualClock) -> None:
    admin.post(f"/api/v1/users/{crowd[1].id}/deactivate", json={})
    early = crowd[3].registered_at.isoformat()

    def listed(**query: Any) -> list[str]:
        page = admin.get("/api/v1/users", query_string=query)
        assert page.get_json()["meta"]["total"] == len(emails(page))
        return emails(page)

    assert listed(status="deactivated") == [crowd[1].email]
    assert len(listed(status="active")) == 12
    assert listed(role="manager") == [crowd[0].email, crowd[4].email, crowd[8].email]
    assert listed(email="USER1") == [crowd[10].email, crowd[11].email]
    assert listed(email="user_1") == listed(email="%") == []
    assert listed(inactive_since=early) == ["admin@example.com", *(user.email for user in crowd[:3])]
    assert listed(role="user", status="active", inactive_since=early) == [crowd[2].email]


@only_sqlite
def test_a_query_that_makes_no_sense_is_refused_by_name(admin: FlaskClient) -> None:
    for query in (
        "status=asleep",
        "role=owner",
        "inactive_since=yesterday",
        "inactive_since=2030-01-01T00:00:00",
        "page=0",
        "limit=none",
        "page=1&cursor=",
        "colour=red",
    ):
        response = admin.get(f"/api/v1/users?{query}")

        assert error(response) == (400, "validation_failed"), query
        assert list(response.get_json()["data"]["errors"]) == [query.partition("=")[0]]


@only_sqlite
def test_a_cursor_nobody_gave_out_is_refused(admin: FlaskClient) -> None:
    assert error(admin.get("/api/v1/users?cursor=bm9ib2R5")) == (400, "invalid_cursor")


@only_sqlite
def test_a_manager_finds_users_and_neither_managers_nor_admins(
    new_user: Callable[..., User], signed_in: Callable[..., FlaskClient], admin: FlaskClient
) -> None:
    """S3-05, S3-08, C-33."""
    user, own, peer = new_user("plain"), new_user("mia", Role.MANAGER), new_user("max", Role.MANAGER)
    assert signed_in(user.email).patch("/api/v1/users/profile", json={"push_token": "for her only"}).status_code == 200
    client = signed_in(own.email)

    assert sorted(emails(client.get("/api/v1/users"))) == [own.email, user.email]
    assert emails(client.get("/api/v1/users", query_string={"email": "plain"})) == [user.email]
    assert emails(client.get("/api/v1/users", query_string={"role": "admin"})) == []

    found = client.get(f"/api/v1/users/{user.id}").get_json()["data"]
    assert (found["email"], found["push_token"]) == (user.email, None)
    assert error(client.get(f"/api/v1/users/{peer.id}")) == (404, "user_not_found")
    assert error(client.get(f"/api/v1/users/{user.id}/history")) == (403, "forbidden")
    assert error(client.get(f"/api/v1/users/{user.id}/export")) == (404, "user_not_found")

    assert admin.post(f"/api/v1/users/{user.id}/deactivate").status_code == 200
    assert emails(client.get("/api/v1/users", query_string={"status": "deactivated"})) == [user.email]
    assert client.post(f"/api/v1/users/{user.id}/reactivate").status_code == 200


@only_sqlite
def test_who_is_neither_admin_nor_manager_sees_nobody_else(
    new_user: Callable[..., User], signed_in: Callable[..., FlaskClient]
) -> None:
    other, own = new_user("other"), new_user("own")
    client = signed_in(own.email)

    page = client.get("/api/v1/users", query_string={"email": "example"})

    assert emails(page) == [own.email]
    assert page.get_json()["meta"]["total"] == 1
    assert client.get(f"/api/v1/users/{own.id}").status_code == 200
    assert error(client.get(f"/api/v1/users/{other.id}")) == (404, "user_not_found")
    assert error(client.get(f"/api/v1/users/{other.id}/history")) == (403, "forbidden")


@only_sqlite
def test_there_is_nobody_under_an_unknown_id(admin: FlaskClient) -> None:
    nobody = uuid7()

    for path in (f"/api/v1/users/{nobody}", f"/api/v1/users/{nobody}/history"):
        assert error(admin.get(path)) == (404, "user_not_found")
    for action in ("deactivate", "reactivate"):
        assert error(admin.post(f"/api/v1/users/{nobody}/{action}", json={})) == (404, "user_not_found")
    assert error(admin.get("/api/v1/users/7")) == (404, "not_found")


@only_sqlite
def test_strangers_are_asked_who_they_are(web: FlaskClient) -> None:
    for method, path in (
        ("GET", "/api/v1/users"),
        ("GET", f"/api/v1/users/{UUID(int=7)}"),
        ("GET", f"/api/v1/users/{UUID(int=7)}/history"),
        ("POST", f"/api/v1/users/{UUID(int=7)}/deactivate"),
        ("POST", f"/api/v1/users/{UUID(int=7)}/reactivate"),
        ("POST", "/api/v1/auth/logout"),
    ):
        response = web.open(path, method=method, json={})

        assert error(response) == (401, "unauthenticated"), path
        assert response.headers["WWW-Authenticate"] == "Bearer"
