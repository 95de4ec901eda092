"""An event on its way to one destination, every attempt to get it there, and what follows from each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import random
from typing import Any
from uuid import UUID

from sqlalchemy import Index, LargeBinary, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from delivery_service.model.attempt import Result
from delivery_service.model.destination import FAILS_FOR, Reason
from delivery_service.model.errors import DeliveryUnderWay
from delivery_service.model.schedule import Schedule, retry_after
from delivery_service.model.tables import Entity
from service_chassis.database import Json, UtcDateTime

GONE = 410
TOO_MANY = 429
ANSWERS = frozenset(range(400, 500)) - {408, 425, TOO_MANY}
"""Statuses by which a destination that works refuses one request."""


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    RETRYING = "retrying"
    HELD = "held"
    """Shown instead of pending or retrying while its destination is paused, disabled or left alone; never stored."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DISCARDED = "discarded"


WAITING = frozenset({DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.RETRYING})


class Event(Entity):
    """What was received, in the bytes it came in, because signatures are over those."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("account_id", "event_id"), Index("events_received", "received_at"))

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[UUID | None] = mapped_column(Uuid)
    """Null for events of the platform."""
    event_id: Mapped[str] = mapped_column(Text)
    """The id its producer gave it, or else our own; a receiver knows a repetition by it."""
    type: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    correlation_id: Mapped[str] = mapped_column(Text)


class Delivery(Entity):
    """`due_at` is when the next attempt may be made, and null once there is none: indexes hold only what waits."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(
            "deliveries_due",
            "destination_id",
            "due_at",
            "id",
            postgresql_where=text("due_at IS NOT NULL"),
            sqlite_where=text("due_at IS NOT NULL"),
        ),
        # Where order is kept, the next one is the oldest that waits, whenever it is due.
        Index(
            "deliveries_in_order",
            "destination_id",
            "id",
            postgresql_where=text("due_at IS NOT NULL"),
            sqlite_where=text("due_at IS NOT NULL"),
        ),
        Index("deliveries_account", "account_id", "id"),
        Index("deliveries_destination", "destination_id", "id"),
        Index("deliveries_event", "event_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    event_id: Mapped[UUID] = mapped_column(Uuid)
    account_id: Mapped[UUID] = mapped_column(Uuid)
    destination_id: Mapped[UUID] = mapped_column(Uuid)
    state: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column()
    """All that were made."""
    tries: Mapped[int] = mapped_column()
    """Those of the present schedule, which a retry by hand begins anew."""
    last_status: Mapped[int | None] = mapped_column()
    last_error: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    processed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it came to its end."""

    def retry(self, *, at: datetime) -> None:
        """Make an attempt now and begin the schedule anew. Raises DeliveryUnderWay."""
        if self.state in {DeliveryState.PENDING, DeliveryState.SENDING}:
            raise DeliveryUnderWay
        self.state = DeliveryState.PENDING
        self.due_at = at
        self.tries = 0
        self.processed_at = None


class AttemptEntry(Entity):
    """The log of one attempt; its id is in the order of time."""

    __tablename__ = "attempts"
    __table_args__ = (Index("attempts_delivery", "delivery_id", "id"),)

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(Uuid)
    number: Mapped[int] = mapped_column()
    began_at: Mapped[datetime] = mapped_column(UtcDateTime)
    url: Mapped[str] = mapped_column(Text)
    request_headers: Mapped[dict[str, Any]] = mapped_column(Json)
    status: Mapped[int | None] = mapped_column()
    error: Mapped[str | None] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    answer: Mapped[str] = mapped_column(Text)
    queue_seconds: Mapped[float] = mapped_column()
    connect_seconds: Mapped[float] = mapped_column()
    first_byte_seconds: Mapped[float | None] = mapped_column()
    total_seconds: Mapped[float] = mapped_column()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an attempt for its delivery and its destination."""

    state: DeliveryState
    due_at: datetime | None
    counts_against: bool
    """Whether the destination as such did not work, for the breaker."""
    wait: timedelta
    """How long the destination asked for rest."""
    disable: Reason | None


def judge(
    result: Result,
    tries: int,
    schedule: Schedule,
    failing_since: datetime | None,
    *,
    at: datetime,
    random: Callable[[], float] = random,
) -> Verdict:
    """Say what follows from an attempt, the given number of its schedule, that ended at an instant."""
    if result.succeeded:
        return Verdict(DeliveryState.SUCCEEDED, None, counts_against=False, wait=timedelta(), disable=None)
    wait = retry_after(result.retry_after, at)
    due = schedule.next_at(tries, at, retry_after=wait, random=random)
    disable = None
    if result.status == GONE:
        disable = Reason.GONE
    elif failing_since is not None and at - failing_since >= FAILS_FOR:
        disable = Reason.FAILING
    return Verdict(
        DeliveryState.FAILED if due is None else DeliveryState.RETRYING,
        due,
        counts_against=result.status not in ANSWERS,
        wait=wait if result.status in {TOO_MANY, 503} else timedelta(),
        disable=disable,
    )
