"""delivery-service over the database of a test, and notifications as user-service asks for them."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import delivery_service
import event_contracts as contracts
from delivery_service.bootstrap import bootstrap as make_service
from delivery_service.bootstrap import mailer as make_mailer
from delivery_service.config import Settings
from delivery_service.http.demo import demo
from delivery_service.http.templates import templates
from delivery_service.mailer import Mailer
from delivery_service.mailing.folder import MailFolder
from delivery_service.mailing.templates import Templates
from delivery_service.model.mail import Mail
from delivery_service.parts import Parts
from delivery_service.persistence.unit_of_work import UnitOfWork
from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Outgoing
from service_chassis.sealing import Seal
from service_chassis.service import Service
from service_chassis.testing.service import Bootstrap, Hear
from service_chassis.testing.web import Trial


@pytest.fixture
def bootstrap() -> Bootstrap:
    return make_service


@pytest.fixture(scope="session")
def migrations() -> Path:
    return Path(delivery_service.__file__).with_name("migrations")


@pytest.fixture
def env(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the service, with its files in a folder of the test."""
    return {
        "DATABASE_URL": database_url,
        "BROKER_URL": f"sqlite:///{tmp_path}/broker.db",
        "STEWARD_DATA": str(tmp_path),
        "LOG_LEVEL": "ERROR",
    }


@pytest.fixture
def trial(database: Database, clock: ManualClock, tmp_path: Path) -> Trial:
    """The web application of the demo, with callers of any role."""
    settings = Settings.read({})
    parts = Parts(settings, Templates(settings.public_url), MailFolder(tmp_path / "mail"))
    return Trial(database, clock, templates, demo, name="delivery-service", make=UnitOfWork, parts=parts)


class Asking:
    """Asks for mails as user-service does."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._seal = Seal(Settings.read({}).notification_secret, "notifications")

    def __call__(self, template: str = "password_changed", **changes: Any) -> Outgoing:
        secrets = changes.pop("secrets", None)
        event: dict[str, Any] = {
            "notification_id": uuid7(),
            "user_id": uuid7(),
            "channel": "email",
            "template_code": template,
            "recipient": "anna@example.com",
            "name": "Anna",
            "variables": {},
            "sealed_variables": self._seal.close(secrets) if secrets else None,
            "priority": 5,
            "request_id": None,
            "metadata": {},
            "requested_at": self._clock.now(),
        }
        return Outgoing(contracts.NotificationReady(**event | changes))

    def purge(self, user_id: UUID) -> Outgoing:
        return Outgoing(contracts.UserPurged(user_id=user_id, purged_at=self._clock.now()), version=2)


@pytest.fixture
def asked(clock: ManualClock) -> Asking:
    return Asking(clock)


class Post:
    """Takes notifications in and sends what is due, as a worker does; time passes when the test says so."""

    def __init__(self, hear: Hear, mailer: Mailer, clock: ManualClock, asked: Asking) -> None:
        self._hear = hear
        self._mailer = mailer
        self._clock = clock
        self._asked = asked

    def takes(self, template: str = "password_changed", **changes: Any) -> UUID:
        event = self._asked(template, **changes)
        self._hear([event])
        mail_id: UUID = event.data.notification_id
        return mail_id

    def sends(self) -> int:
        """Attempt everything that is due, and return how many attempts that took."""
        attempts = 0
        while self._mailer.step():
            attempts += 1
        self._mailer.transport.close()
        return attempts

    def waits(self, seconds: float) -> int:
        """Let time pass, then send."""
        self._clock.advance(timedelta(seconds=seconds))
        return self.sends()

    def mail(self, mail_id: UUID) -> Mail:
        with self._mailer.units.read() as uow:
            return uow.session.get_one(Mail, mail_id)

    def outcome(self, mail_id: UUID) -> tuple[str, str | None, int]:
        mail = self.mail(mail_id)
        return mail.status, mail.reason, mail.attempts


@pytest.fixture
def post_by(hear: Hear, service: Service, clock: ManualClock, asked: Asking) -> Callable[..., Post]:
    """Returns the post of the service, with its settings changed."""

    def post_by(**changes: Any) -> Post:
        parts = replace(service.parts, settings=replace(service.parts.settings, **changes))
        stop = threading.Event()
        return Post(hear, make_mailer(parts, service.units, service.log, stop), clock, asked)

    return post_by


@pytest.fixture
def post(post_by: Callable[..., Post]) -> Post:
    """The post that writes files."""
    return post_by()
