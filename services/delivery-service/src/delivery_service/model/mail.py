"""A mail on its way to one person, and how far it has come."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from delivery_service.model.tables import Entity
from service_chassis.database import Json, UtcDateTime

JITTER = 0.2
LEASE = timedelta(minutes=5)
"""How long an attempt may take before another one begins; the worker that made it has died then."""
LONGEST_ANSWER = 1_000
PENDING = text("status = 'pending'")


class MailStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Mail(Entity):
    """What it says is kept until it has an end, its secrets sealed as they came."""

    __tablename__ = "mails"
    __table_args__ = (
        Index("mails_due", "next_attempt_at", sqlite_where=PENDING, postgresql_where=PENDING),
        Index("mails_user", "user_id"),
        Index("mails_age", "requested_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """The notification's."""
    user_id: Mapped[UUID | None] = mapped_column(Uuid)
    recipient: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    template_code: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(Text)
    variables: Mapped[dict[str, Any]] = mapped_column(Json)
    sealed_variables: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[int] = mapped_column()
    status: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    """The code of what went wrong last."""
    answer: Mapped[str | None] = mapped_column(Text)
    """What the mail server said to that."""
    attempts: Mapped[int] = mapped_column()
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime)
    correlation_id: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def is_pending(self) -> bool:
        return self.status == MailStatus.PENDING

    def begin_attempt(self, *, at: datetime) -> None:
        """Count an attempt, and let nobody else make one meanwhile."""
        self.attempts += 1
        self.next_attempt_at = at + LEASE

    def deliver(self, *, at: datetime) -> None:
        self._settle(MailStatus.DELIVERED, at)
        self.reason = self.answer = None

    def fail(self, reason: str, answer: str, *, at: datetime) -> None:
        self._note(reason, answer)
        self._settle(MailStatus.FAILED, at)

    def postpone(
        self,
        reason: str,
        answer: str,
        schedule: Sequence[timedelta],
        *,
        at: datetime,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Try again when the schedule says, give or take a fifth; at its end the mail has failed."""
        if self.attempts >= len(schedule):
            self.fail(reason, answer, at=at)
            return
        self._note(reason, answer)
        self.next_attempt_at = at + schedule[self.attempts] * (1 + JITTER * (2 * chance() - 1))

    def _note(self, reason: str, answer: str) -> None:
        self.reason, self.answer = reason, answer[:LONGEST_ANSWER].replace("\0", "")

    def _settle(self, status: MailStatus, at: datetime) -> None:
        self.status, self.settled_at = status, at
        self.variables, self.sealed_variables = {}, None
