"""C-28: signing with one shared secret, where that is asked for, and with nothing else then."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from service_chassis.tokens import SharedSecret, TokenVerifier
from user_service.model.user import User
from user_service.usecases.signing_keys import SigningKeys

pytestmark = only_sqlite

SECRET = "a secret that all services share, and nobody else"
LIST = "/api/v1/users"


@pytest.fixture
def env(env: dict[str, str]) -> dict[str, str]:
    return env | {"JWT_ALGORITHM": "HS256", "JWT_SECRET": SECRET}


@pytest.fixture
def token(web: FlaskClient, new_user: Callable[..., User]) -> str:
    body = {"email": new_user("anna").email, "password": "correct horse"}
    return str(web.post("/api/v1/auth/login", json=body).get_json()["data"]["access_token"])


def ask(web: FlaskClient, token: str) -> TestResponse:
    return web.get(LIST, headers={"Authorization": f"Bearer {token}"})


def claims(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def test_a_sign_in_yields_a_token_signed_with_the_secret(web: FlaskClient, token: str, clock: ManualClock) -> None:
    header = jwt.get_unverified_header(token)

    assert (header["alg"], header["typ"]) == ("HS256", "at+jwt")
    assert TokenVerifier(
        SharedSecret(SECRET), algorithm="HS256", issuer="steward", audience="steward", clock=clock
    ).verify(token)
    assert ask(web, token).status_code == 200


def test_so_does_whatever_else_is_exchanged_for_one(web: FlaskClient, service: Service, token: str) -> None:
    body = {"email": "anna@example.com", "password": "correct horse"}
    signed_in = web.post("/api/v1/auth/login", json=body).get_json()["data"]
    opaque = web.post("/api/v1/auth/opaque-token", json=body).get_json()["data"]["token"]

    refreshed = web.post("/api/v1/auth/refresh", json={"refresh_token": signed_in["refresh_token"]}).get_json()["data"]
    exchanged = web.post("/internal/tokens/exchange", json={"token": opaque}).get_json()

    for each in (refreshed, exchanged):
        assert jwt.get_unverified_header(each["access_token"])["alg"] == "HS256"
        assert ask(web, each["access_token"]).status_code == 200


def test_no_other_algorithm_and_no_other_secret_is_accepted(web: FlaskClient, service: Service, token: str) -> None:
    kid, private = SigningKeys(service.units, "demo-key-encryption-secret").current()
    headers = {"kid": kid, "typ": "at+jwt"}

    for forged in (
        jwt.encode(claims(token), private, "RS256", headers=headers),
        jwt.encode(claims(token), SECRET * 2, "HS512", headers=headers),
        jwt.encode(claims(token), SECRET[::-1], "HS256", headers=headers),
        jwt.encode(claims(token), None, "none", headers=headers),
    ):
        assert (ask(web, forged).status_code, ask(web, forged).get_json()["error"]) == (401, "invalid_token")


def test_no_key_is_published(web: FlaskClient) -> None:
    assert web.get("/.well-known/jwks.json").get_json() == {"keys": []}


def test_the_worker_rotates_nothing(service: Service) -> None:
    worker = service.make_worker()

    assert not {"rotate-keys", "signing_keys.forget"} & {job.name for job in worker.scheduler._jobs}
    worker._parts.broker.close()


def test_the_command_says_that_there_is_nothing_to_rotate(
    service: Service, env: dict[str, str], tmp_path: Path
) -> None:
    command = subprocess.run(
        [sys.executable, "-m", "user_service", "rotate-keys"],
        env={"PATH": os.environ["PATH"], **env},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (command.returncode, command.stdout) == (1, "")
    assert "JWT_SECRET" in command.stderr
    with service.units.read() as uow:
        assert len(uow.signing_keys.all()) == 1
