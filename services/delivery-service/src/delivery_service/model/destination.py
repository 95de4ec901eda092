"""A destination: where an account's data go, under which settings, and how it has been lately."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from delivery_service.model.schedule import Schedule
from delivery_service.model.signing import OVERLAP, Secrets, new_secret
from delivery_service.model.subscription import EVERYTHING, Subscription
from delivery_service.model.tables import Entity
from delivery_service.model.target import Target
from service_chassis.breaker import Record, State
from service_chassis.database import Json, UtcDateTime
from service_chassis.ids import uuid7
from service_chassis.sealing import Seal

FAILS_FOR = timedelta(days=5)
"""A destination without any success for so long is disabled."""


class Standing(StrEnum):
    ENABLED = "enabled"
    PAUSED = "paused"
    DISABLED = "disabled"


class Reason(StrEnum):
    """Why a destination is disabled."""

    BY_HAND = "by_hand"
    GONE = "gone"
    """It answered 410."""
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Settings:
    """What people set about a destination."""

    url: str
    http_method: str = "POST"
    headers: Mapping[str, str] | None = None
    description: str = ""
    subscription: Subscription = field(default_factory=Subscription)
    rate_limit: float | None = None
    """Requests a second."""
    timeout_seconds: float | None = None
    retry_schedule: tuple[float, ...] | None = None
    ordered: bool = False
    """Whether each delivery waits for the end of the one before it."""


class Destination(Entity):
    """Secrets and headers are sealed; `version` rises with every change people make or see."""

    __tablename__ = "destinations"
    __table_args__ = (Index("destinations_account", "account_id", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    url: Mapped[str] = mapped_column(Text)
    http_method: Mapped[str] = mapped_column(Text)
    headers: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    event_types: Mapped[list[str]] = mapped_column(Json)
    payload_filter: Mapped[dict[str, Any]] = mapped_column(Json)
    rate_limit: Mapped[float | None] = mapped_column()
    timeout_seconds: Mapped[float | None] = mapped_column()
    retry_schedule: Mapped[list[float] | None] = mapped_column(Json)
    ordered: Mapped[bool] = mapped_column()
    platform: Mapped[bool] = mapped_column()
    """Whether platform admins made it, so that events of the platform may go there."""
    standing: Mapped[str] = mapped_column(Text)
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(Text)
    previous_secret: Mapped[str | None] = mapped_column(Text)
    previous_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    breaker_state: Mapped[str] = mapped_column(Text)
    breaker_failures: Mapped[int] = mapped_column()
    breaker_opened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The first failure since the last success."""
    version: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @classmethod
    def create(
        cls, account_id: UUID, settings: Settings, seal: Seal, *, platform: bool, at: datetime
    ) -> tuple[Self, str]:
        """Return a new destination and its secret, which is shown this once."""
        secret = new_secret()
        made = cls(
            id=uuid7(),
            account_id=account_id,
            platform=platform,
            standing=Standing.ENABLED,
            secret=seal.close(secret),
            breaker_state=State.CLOSED,
            breaker_failures=0,
            version=0,
            created_at=at,
        )
        made.configure(settings, seal, at=at)
        return made, secret

    def configure(self, settings: Settings, seal: Seal, *, at: datetime) -> None:
        """Take over settings; headers of None stay as they are."""
        self.url = settings.url
        self.http_method = settings.http_method
        if settings.headers is not None or self.headers is None:
            self.headers = seal.close(dict(settings.headers or {}))
        self.description = settings.description
        self.event_types = list(settings.subscription.event_types)
        self.payload_filter = dict(settings.subscription.payload_filter)
        self.rate_limit = settings.rate_limit
        self.timeout_seconds = settings.timeout_seconds
        self.retry_schedule = None if settings.retry_schedule is None else list(settings.retry_schedule)
        self.ordered = settings.ordered
        self._changed(at)

    @property
    def is_enabled(self) -> bool:
        return self.standing == Standing.ENABLED and self.deleted_at is None

    @property
    def subscription(self) -> Subscription:
        return Subscription(self.event_types or (EVERYTHING,), self.payload_filter)

    @property
    def breaker(self) -> Record:
        """Return what the row keeps of the breaker."""
        return Record(State(self.breaker_state), self.breaker_failures, self.breaker_opened_at)

    def schedule(self, default: Schedule) -> Schedule:
        return default if self.retry_schedule is None else Schedule.of_seconds(self.retry_schedule)

    def target(self, seal: Seal, *, timeout: float) -> Target:
        """Return where and how to send, opened. Raises cryptography's InvalidToken."""
        previous = None if self.previous_secret is None else seal.open(self.previous_secret)
        return Target(
            self.id,
            self.url,
            self.http_method,
            Secrets(seal.open(self.secret), previous, self.previous_secret_until),
            min(self.timeout_seconds or timeout, timeout),
            seal.open(self.headers),
        )

    def enable(self, *, at: datetime) -> None:
        """Send again, from a closed breaker: whoever enables it has seen to it."""
        self.standing = Standing.ENABLED
        self.disabled_reason = None
        self.breaker_state = State.CLOSED
        self.breaker_failures = 0
        self.failing_since = None
        self._changed(at)

    def pause(self, *, at: datetime) -> None:
        """Keep what comes until it is enabled again."""
        self.standing = Standing.PAUSED
        self._changed(at)

    def disable(self, reason: Reason, *, at: datetime) -> None:
        """Send nothing; what waits goes on waiting."""
        self.standing = Standing.DISABLED
        self.disabled_reason = reason
        self._changed(at)

    def delete(self, *, at: datetime) -> None:
        self.deleted_at = at
        self._changed(at)

    def rotate_secret(self, seal: Seal, *, at: datetime) -> str:
        """Return the new secret; the one until now signs beside it for a day."""
        secret = new_secret()
        self.previous_secret, self.previous_secret_until = self.secret, at + OVERLAP
        self.secret = seal.close(secret)
        self._changed(at)
        return secret

    def _changed(self, at: datetime) -> None:
        self.updated_at = at
        self.version += 1


class Lease(Entity):
    """Which dispatcher owns a destination, and until when; each new owner gets a higher fence."""

    __tablename__ = "destination_leases"

    destination_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    fence: Mapped[int] = mapped_column()
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
