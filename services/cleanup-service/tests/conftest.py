"""cleanup-service over the database of a test, and what it hears of user-service."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import cleanup_service
import event_contracts as contracts
from cleanup_service.bootstrap import bootstrap as make_service
from cleanup_service.config import Settings
from cleanup_service.http.cleanup import cleanup
from cleanup_service.http.reports import reports
from cleanup_service.model.known_user import USERS
from cleanup_service.model.policy import Policy
from cleanup_service.parts import Parts
from cleanup_service.persistence.unit_of_work import UnitOfWork
from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Event, Outgoing
from service_chassis.snapshots import progress
from service_chassis.snapshots.exchanged import Page
from service_chassis.testing.service import Bootstrap, Hear, Published
from service_chassis.testing.web import Trial
from service_chassis.unit_of_work import Units


@pytest.fixture
def bootstrap() -> Bootstrap:
    return make_service


@pytest.fixture(scope="session")
def migrations() -> Path:
    return Path(cleanup_service.__file__).with_name("migrations")


@pytest.fixture
def policy() -> Policy:
    """Thirty days, admins exempt, no safety breaker: what the demo profile says."""
    return Settings.read({}).policy


@pytest.fixture
def trial(database: Database, clock: ManualClock) -> Trial:
    """The web application with callers of any role."""
    parts = Parts(Settings.read({}))
    return Trial(database, clock, cleanup, reports, name="cleanup-service", make=UnitOfWork, parts=parts)


class UserService:
    """Stands for user-service: tells of users, and answers what runs ask as the real one would."""

    def __init__(self, hear: Hear, published: Published, clock: ManualClock) -> None:
        self._hear = hear
        self._published = published
        self._clock = clock
        self._answered: set[UUID] = set()

    def has(self, days_inactive: float, *, role: str = "user", status: str = "active", count: int = 1) -> list[UUID]:
        """Tell of new users who were last seen so many days ago."""
        last_activity_at = self._clock.now() - timedelta(days=days_inactive)
        users = [uuid7() for _ in range(count)]
        self._hear([self.registered(user, last_activity_at, role=role, status=status) for user in users])
        return users

    def registered(self, user: UUID, last_activity_at: datetime, **state: Any) -> Outgoing:
        event = contracts.UserRegistered(
            **self._state(user) | {"last_activity_at": last_activity_at} | state, email="", name=""
        )
        return Outgoing(event, version=1)

    def says_where_it_is(self) -> None:
        """Send a watermark: everything up to now has been told."""
        self._hear([Outgoing(contracts.UserWatermark(as_of=self._clock.now()))])

    def was_asked(self) -> list[Event]:
        """Return the requests not answered yet."""
        asked = self._published(contracts.DeactivationRequested)
        return [request for request in asked if request.id not in self._answered]

    def answers(self, refusals: Mapping[UUID, str] | None = None, *, only: Sequence[UUID] | None = None) -> None:
        """Answer the requests: some users are refused with a reason, the others are switched off."""
        chosen = [request for request in self.was_asked() if only is None or request.data.user_id in only]
        self._answered |= {request.id for request in chosen}
        refused = refusals or {}
        accepted = [request.data for request in chosen if request.data.user_id not in refused]
        self._hear([self.deactivated(request.user_id, request.run_id) for request in accepted])
        left_alone = [request.data for request in chosen if request.data.user_id in refused]
        self._hear([self.refused(r.user_id, r.run_id, refused[r.user_id]) for r in left_alone])

    def deactivated(self, user: UUID, run_id: UUID | None) -> Outgoing:
        now = self._clock.now()
        off = {"status": "deactivated", "deactivated_at": now, "deactivation_reason": "inactivity"}
        return Outgoing(contracts.UserDeactivated(**self._state(user) | off, run_id=run_id), version=2)

    def refused(self, user: UUID, run_id: UUID, reason: Any) -> Outgoing:
        now = self._clock.now()
        return Outgoing(contracts.UserDeactivationRefused(user_id=user, run_id=run_id, reason=reason, refused_at=now))

    def _state(self, user: UUID) -> dict[str, Any]:
        long_ago = self._clock.now() - timedelta(days=1000)
        return {
            "user_id": user,
            "number": 1,
            "role": "user",
            "status": "active",
            "registered_at": long_ago,
            "last_activity_at": long_ago,
        }


@pytest.fixture
def user_service(units: Units[UnitOfWork], hear: Hear, published: Published, clock: ManualClock) -> UserService:
    """user-service, which has told of everybody there was before the test."""
    with units.write() as uow:
        progress.begin(uow.session, USERS, uow.now)
        progress.advance(uow.session, progress.of(uow.session, USERS), Page([], None), uow.now)
    return UserService(hear, published, clock)
