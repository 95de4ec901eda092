"""delivery-service over the database of a test, and notifications as user-service asks for them."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

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
from delivery_service.model.delivery import AttemptEntry, Delivery, DeliveryState, Event
from delivery_service.model.destination import Destination
from delivery_service.model.destination import Settings as DestinationSettings
from delivery_service.model.mail import Mail
from delivery_service.parts import Parts
from delivery_service.persistence.unit_of_work import UnitOfWork
from service_chassis.clock import Clock, ManualClock
from service_chassis.database import Database
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Outgoing
from service_chassis.sealing import Seal
from service_chassis.service import Service
from service_chassis.testing.service import Bootstrap, Hear
from service_chassis.testing.web import Trial
from service_chassis.unit_of_work import Units

SEAL = Seal("a secret of tests", "destinations")


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


class Depot:
    """An account's destinations, and what is put in for them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.units = Units(database, UnitOfWork, clock)
        self.seal = SEAL
        self.account_id = uuid7()

    def destination(self, url: str = "https://example.com/", **settings: Any) -> UUID:
        with self.units.write() as uow:
            made, _ = Destination.create(
                self.account_id, DestinationSettings(url=url, **settings), self.seal, platform=False, at=uow.now
            )
            uow.session.add(made)
            return made.id

    def puts_in(self, destination_id: UUID, count: int = 1) -> list[UUID]:
        """Receive events for a destination; return its deliveries, oldest first."""
        with self.units.write() as uow:
            events = [self._event(number, uow.now) for number in range(count)]
            deliveries = [self._delivery(event, destination_id, uow.now) for event in events]
            uow.session.add_all([*events, *deliveries])
            return [delivery.id for delivery in deliveries]

    def changes(self, destination_id: UUID, change: Any) -> None:
        """Let somebody do something to a destination."""
        with self.units.write() as uow:
            change(uow.session.get_one(Destination, destination_id), uow.now)

    def of(self, destination_id: UUID) -> Destination:
        with self.units.read() as uow:
            return uow.session.get_one(Destination, destination_id)

    def delivery(self, delivery_id: UUID) -> Delivery:
        with self.units.read() as uow:
            return uow.session.get_one(Delivery, delivery_id)

    def states(self, ids: list[UUID]) -> list[str]:
        with self.units.read() as uow:
            rows = uow.session.execute(select(Delivery.id, Delivery.state).where(Delivery.id.in_(ids)))
            found = {row.id: row.state for row in rows}
        return [found[delivery_id] for delivery_id in ids]

    def attempts(self) -> list[AttemptEntry]:
        with self.units.read() as uow:
            return list(uow.session.scalars(select(AttemptEntry).order_by(AttemptEntry.id)))

    def _event(self, number: int, now: Any) -> Event:
        event_id = uuid7()
        return Event(
            id=event_id,
            account_id=self.account_id,
            event_id=str(event_id),
            type="data.received",
            payload=json.dumps({"number": number}).encode(),
            received_at=now,
            correlation_id="",
        )

    def _delivery(self, event: Event, destination_id: UUID, now: Any) -> Delivery:
        return Delivery(
            id=uuid7(),
            event_id=event.id,
            account_id=self.account_id,
            destination_id=destination_id,
            state=DeliveryState.PENDING,
            due_at=now,
            attempts=0,
            tries=0,
            received_at=now,
        )


@pytest.fixture
def depot(database: Database, clock: Clock) -> Depot:
    return Depot(database, clock)
