"""user-service as its bootstrap puts it together, over the database of a test."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from sqlalchemy import insert

import user_service
from event_contracts import Contract, NotificationReady, by_type
from service_chassis.clock import ManualClock
from service_chassis.gateway_secret import DEMO_SECRET, HEADER
from service_chassis.messaging import failures, outbox
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import Event, decoded, received
from service_chassis.sealing import Seal
from service_chassis.service import Service
from user_service.bootstrap import bootstrap
from user_service.model.signing import SigningKey
from user_service.model.user import Role, User
from user_service.usecases import recovery, registration, seeding

SECRET = "demo-key-encryption-secret"
PASSWORD = "correct horse"


@pytest.fixture(scope="session")
def migrations() -> Path:
    return Path(user_service.__file__).with_name("migrations")


@pytest.fixture(scope="session")
def signing_key() -> dict[str, Any]:
    """The row of a key to sign with; all tests share one, because finding its primes takes long."""
    key = SigningKey.generate(SECRET, at=datetime(2030, 1, 1, tzinfo=UTC))
    return {column.name: getattr(key, column.name) for column in SigningKey.__table__.columns}


@pytest.fixture
def env(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the service; hashing is as cheap as it gets."""
    return {
        "DATABASE_URL": database_url,
        "BROKER_URL": f"sqlite:///{tmp_path}/broker.db",
        "ARGON2_MEMORY_KIB": "8",
        "ARGON2_PASSES": "1",
        "LOG_LEVEL": "ERROR",
    }


@pytest.fixture
def service(env: dict[str, str], clock: ManualClock, signing_key: dict[str, Any]) -> Iterator[Service]:
    """The service with one of the demo's admins in it, admin@example.com; the other one is seeding's own matter."""
    stop = threading.Event()
    service = bootstrap(env, CollectorRegistry(), stop, clock=clock)
    with service.units.write() as uow:
        uow.session.execute(insert(SigningKey).values(signing_key))
        first = seeding.DEMO_ADMINS[0]
        registration.register(
            uow,
            first.email,
            first.name,
            service.parts.passwords.hash(first.password),
            role=Role.ADMIN,
        ).email_verified_at = uow.now
    yield service
    stop.set()
    service.close()


@pytest.fixture
def new_web(service: Service) -> Callable[[], FlaskClient]:
    """Starts another web process, as far as a process is its memory; calls come by the gateway."""

    def new_web() -> FlaskClient:
        client = service.make_web().test_client()
        client.environ_base[f"HTTP_{HEADER.upper().replace('-', '_')}"] = DEMO_SECRET
        return client

    return new_web


@pytest.fixture
def web(new_web: Callable[[], FlaskClient]) -> FlaskClient:
    """A client who is not signed in."""
    return new_web()


@pytest.fixture
def new_user(service: Service) -> Callable[..., User]:
    """Registers somebody with the password `correct horse`."""
    password_hash = service.parts.passwords.hash(PASSWORD)

    def new_user(name: str, role: Role = Role.USER) -> User:
        with service.units.write() as uow:
            return registration.register(uow, f"{name}@example.com", name.title(), password_hash, role=role)

    return new_user


@pytest.fixture
def signed_in(service: Service, web: FlaskClient) -> Callable[..., FlaskClient]:
    """Signs somebody in and returns a client that sends the access token with every request."""

    def signed_in(email: str, password: str = PASSWORD) -> FlaskClient:
        tokens = service.parts.sign_in(email, password)
        client: FlaskClient = web.application.test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens.access_token}"
        return client

    return signed_in


@pytest.fixture
def anna(new_user: Callable[..., User]) -> User:
    """Somebody who is Admin of her own account and of no other."""
    return new_user("anna")


@pytest.fixture
def bert(new_user: Callable[..., User]) -> User:
    return new_user("bert")


@pytest.fixture
def as_anna(anna: User, signed_in: Callable[..., FlaskClient]) -> FlaskClient:
    return signed_in(anna.email)


@pytest.fixture
def as_bert(bert: User, signed_in: Callable[..., FlaskClient]) -> FlaskClient:
    return signed_in(bert.email)


@pytest.fixture
def account(as_anna: FlaskClient) -> int:
    """Anna's account, which registration made."""
    (own,) = as_anna.get("/api/v1/accounts").get_json()["data"]
    return int(own["id"])


@pytest.fixture
def admin(signed_in: Callable[..., FlaskClient]) -> FlaskClient:
    return signed_in("admin@example.com", "adminpass")


@pytest.fixture
def state_of(service: Service) -> Callable[[User], User]:
    """Returns a user as the database has it now."""

    def state_of(user: User) -> User:
        with service.units.read() as uow:
            found: User = uow.users.get(user.id)
            return found

    return state_of


@pytest.fixture
def blocked(service: Service) -> Callable[[], bool]:
    """Says whether a transaction on PostgreSQL waits for another one."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    def blocked() -> bool:
        with service.units.read() as uow:
            return bool(uow.session.connection().exec_driver_sql(waiting).scalar())

    return blocked


@pytest.fixture
def published(service: Service) -> Callable[[type[Contract]], list[Event]]:
    """Returns the events of a type in the outbox as a consumer reads them, which checks them against the contract."""

    def published(contract: type[Contract]) -> list[Event]:
        with service.units.read() as uow:
            messages = [message for _, message in outbox.pending(uow.session, 10_000)]
        envelopes = [envelope for message in messages for envelope in decoded(message.content_type, message.body)]
        return [received(each, by_type[each.type]) for each in envelopes if each.type == contract.type]

    return published


@pytest.fixture
def deliver(service: Service) -> Iterator[Callable[..., None]]:
    """Hands messages to the consumer of a worker; every one of them has to succeed."""
    worker = service.make_worker()

    def deliver(*deliveries: Delivery) -> None:
        worker.consumer.handle(deliveries)
        with service.units.read() as uow:
            assert failures.listed(uow.session, failures.Filter(), state=failures.RETRYING) == []
            assert failures.listed(uow.session, failures.Filter()) == []

    yield deliver
    worker._parts.broker.close()


@pytest.fixture
def mails(service: Service, published: Callable[[type[Contract]], list[Event]]) -> Callable[[], list[dict[str, Any]]]:
    """Lets the worker do its part, and returns what went out by mail as delivery-service reads it."""
    seal = Seal("demo-notification-secret", "notifications")

    def mails() -> list[dict[str, Any]]:
        with service.units.write() as uow:
            recovery.decide(uow, service.parts.settings.one_time_tokens)
        ready = [event.data for event in published(NotificationReady)]
        return [
            {"to": mail.recipient, "template": mail.template_code, **mail.variables}
            | (seal.open(mail.sealed_variables) if mail.sealed_variables else {})
            for mail in ready
        ]

    return mails
