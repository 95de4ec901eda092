"""delivery-service over the database of a test, and notifications as user-service asks for them."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import delivery_service
import event_contracts as contracts
from delivery_service.bootstrap import bootstrap as make_service
from delivery_service.config import Settings
from delivery_service.http.demo import demo
from delivery_service.http.templates import templates
from delivery_service.mailing.folder import MailFolder
from delivery_service.mailing.templates import Templates
from delivery_service.parts import Parts
from delivery_service.persistence.unit_of_work import UnitOfWork
from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Outgoing
from service_chassis.sealing import Seal
from service_chassis.testing.service import Bootstrap
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
