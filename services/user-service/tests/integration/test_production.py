"""What is different in production, tried on a service that was started as one."""

import threading
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry

from service_chassis.clock import ManualClock
from service_chassis.service import Service
from service_chassis.testing.plugin import only_postgresql
from user_service.bootstrap import bootstrap
from user_service.model.user import Role
from user_service.usecases import registration

pytestmark = only_postgresql

USERS, LOGIN = "/api/v1/users", "/api/v1/auth/login"
ANNA = {"email": "anna.smith@example.com", "password": "correct horse"}


@pytest.fixture
def service(database_url: str, clock: ManualClock) -> Iterator[Service]:
    env = {
        "STEWARD_PROFILE": "production",
        "DATABASE_URL": database_url,
        "BROKER_URL": "amqp://user-service:secret@broker/",
        "REDIS_URL": "redis://cache:6379/0",
        "KEY_ENCRYPTION_SECRET": "a long secret of this installation only",
        "NOTIFICATION_SECRET": "a long secret that delivery-service shares",
        "GATEWAY_SECRET": "a long secret that the gateway shares",
        "SERVICE_CLIENTS": "task-service:a long secret that task-service shares",
        "LOG_LEVEL": "ERROR",
    }
    stop = threading.Event()
    service = bootstrap(env, CollectorRegistry(), stop, clock=clock)
    service.migrate()
    yield service
    stop.set()
    service.close()


@pytest.fixture
def production(service: Service) -> FlaskClient:
    return service.make_web().test_client()


def test_cookies_travel_over_tls_only(production: FlaskClient) -> None:
    assert production.post(USERS, json=ANNA).status_code == 201

    response = production.post(LOGIN, json={**ANNA, "cookies": True})

    cookies = response.headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    assert all("Secure" in cookie.split("; ") for cookie in cookies)


@pytest.mark.parametrize("password", ["password1", "P@ssw0rd", "anna.smith2030", "pass123"])
def test_passwords_that_are_tried_first_are_refused(production: FlaskClient, password: str) -> None:
    response = production.post(USERS, json={**ANNA, "password": password})

    assert (response.status_code, response.get_json()["error"]) == (400, "weak_password")


def test_an_admin_gives_nobody_a_password(production: FlaskClient, service: Service) -> None:
    """Check 16."""
    with service.units.write() as uow:
        registration.register(
            uow, "boss@example.com", "Boss", service.parts.passwords.hash("a good password"), role=Role.ADMIN
        )
    token = production.post(LOGIN, json={"email": "boss@example.com", "password": "a good password"}).get_json()
    as_boss = {"Authorization": f"Bearer {token['data']['access_token']}"}

    given = production.post(USERS, json=ANNA, headers=as_boss)
    added = production.post(USERS, json={"email": ANNA["email"]}, headers=as_boss)

    assert (given.status_code, given.get_json()["error"]) == (400, "validation_failed")
    assert added.status_code == 201
    assert production.post(LOGIN, json=ANNA).status_code == 401


def test_there_is_no_demo_administrator(production: FlaskClient) -> None:
    response = production.post(LOGIN, json={"email": "admin@example.com", "password": "adminpass"})

    assert response.status_code == 401
