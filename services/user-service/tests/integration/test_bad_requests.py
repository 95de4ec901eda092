"""Requests nobody should send: each gets the right status and a stable code, and no word about our insides."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service_chassis.testing.plugin import only_sqlite

pytestmark = only_sqlite

LOGIN = "/api/v1/auth/login"
REGISTER = "/api/v1/users"
ANNA = {"email": "anna@example.com", "password": "correct horse"}


def answer(response: TestResponse) -> tuple[int, str]:
    body = response.get_json()
    assert body.keys() == {"success", "data", "error", "message", "meta"}
    assert body["success"] is False
    assert "Traceback" not in response.text
    assert "sqlite" not in response.text.lower()
    return response.status_code, body["error"]


def errors(response: TestResponse) -> Any:
    assert answer(response) == (400, "validation_failed")
    return response.get_json()["data"]["errors"]


@pytest.mark.parametrize("path", [LOGIN, REGISTER])
def test_a_body_that_is_no_json_is_refused(web: FlaskClient, path: str) -> None:
    for body in (
        b"{",
        b"{'email': 1}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"email": NaN}',
        b'{"email": "\\ud800"}',
        b"{}{}",
    ):
        response = web.post(path, data=body, content_type="application/json")

        assert answer(response) == (400, "malformed_json"), body[:20]


def test_a_body_that_says_it_is_something_else_is_refused(web: FlaskClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        response = web.post(LOGIN, data=b'{"email": "a@b.c", "password": "x"}', content_type=kind)

        assert answer(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, {"email"}),
        (ANNA | {"colour": "red"}, {"colour"}),
        (ANNA | {"is_active": False}, {"is_active"}),
        (ANNA | {"email": 7}, {"email"}),
        (ANNA | {"email": None}, {"email"}),
        (ANNA | {"email": ["anna@example.com"]}, {"email"}),
        (ANNA | {"password": {"$ne": ""}}, {"password"}),
        (ANNA | {"email": "an\x00na@example.com"}, {"email"}),
        (ANNA | {"password": "x" * 1001}, {"password"}),
    ],
    ids=str,
)
def test_a_body_of_another_shape_is_refused_by_field(web: FlaskClient, body: dict[str, Any], wrong: set[str]) -> None:
    """S4-38."""
    assert errors(web.post(REGISTER, json=body)).keys() == wrong


@pytest.mark.parametrize("body", [[], "text", 7, None, [ANNA]])
def test_a_body_that_is_no_object_is_refused(web: FlaskClient, body: Any) -> None:
    assert answer(web.post(REGISTER, json=body)) == (400, "validation_failed")


def test_a_body_too_large_is_refused_before_it_is_read(web: FlaskClient) -> None:
    response = web.post(REGISTER, data=b'{"name": "' + b"x" * 1024 * 1024 + b'"}', content_type="application/json")

    assert answer(response) == (413, "body_too_large")


def test_there_is_nothing_under_an_unknown_path(web: FlaskClient) -> None:
    for path in ("/", "/api/v1/nothing", "/api/v1/users/../../etc/passwd", "/api/v1/users/%00"):
        assert answer(web.get(path)) == (404, "not_found")


def test_a_path_does_not_take_every_method(web: FlaskClient) -> None:
    response = web.delete(LOGIN)

    assert answer(response) == (405, "method_not_allowed")
    assert "POST" in response.headers["Allow"]


def test_a_key_that_is_none_is_refused(web: FlaskClient) -> None:
    for key in ("", "with space", "x" * 256, "käse"):
        response = web.post(REGISTER, json=ANNA, headers={"Idempotency-Key": key})

        assert answer(response) == (400, "invalid_idempotency_key")
