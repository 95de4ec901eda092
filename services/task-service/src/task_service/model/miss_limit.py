"""Who has missed too many tasks: found once per user and window, and then told or held for approval."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Index, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from task_service.model.errors import NotHeld
from task_service.model.rules import MissRules
from task_service.model.tables import Entity


class LimitState(StrEnum):
    PENDING = "pending"
    """Found, and not yet looked at by the end of a sweep."""
    HELD = "held"
    RELEASED = "released"
    REJECTED = "rejected"


class MissLimit(Entity):
    """The consequence of missed tasks: a user reached the limit at the deadline of the last of them."""

    __tablename__ = "miss_limits"
    __table_args__ = (
        UniqueConstraint("user_id", "reached_at"),
        Index(
            "miss_limits_undecided",
            "state",
            postgresql_where=text("state IN ('pending', 'held')"),
            sqlite_where=text("state IN ('pending', 'held')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid)
    manager_id: Mapped[UUID] = mapped_column(Uuid)
    """Who made the last of the tasks."""
    counted_from: Mapped[datetime] = mapped_column(UtcDateTime)
    reached_at: Mapped[datetime] = mapped_column(UtcDateTime)
    missed: Mapped[int] = mapped_column()
    state: Mapped[str] = mapped_column(Text)
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[UUID | None] = mapped_column(Uuid)
    correlation_id: Mapped[str] = mapped_column(Text)

    def decide(self, state: LimitState, by: UUID, *, at: datetime) -> None:
        """Let a held consequence go on or end. Raises NotHeld."""
        self.check_held()
        self.state = state
        self.decided_at = at
        self.decided_by = by

    def check_held(self) -> None:
        """Raise NotHeld unless it waits for a person."""
        if self.state != LimitState.HELD:
            raise NotHeld


class Uncounted(Entity):
    """Somebody has missed tasks since an instant, and nobody has counted yet whether that is too many."""

    __tablename__ = "uncounted_misses"

    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    correlation_id: Mapped[str] = mapped_column(Text)
    """Of the sweep that let the last of them be missed."""


class Miss(NamedTuple):
    """A missed task that counts, and the one that many misses before it as the limit says."""

    user_id: UUID
    manager_id: UUID
    missed_at: datetime
    counted_from: datetime
    reactivated_at: datetime | None


def reached(misses: Iterable[Miss], known: Mapping[UUID, Iterable[datetime]], rules: MissRules) -> list[Miss]:
    """Return the misses, given in order of time, by which a user reaches the limit.

    `known` are the instants at which users have reached it before. Within a window of one of them there is no other,
    unless the user was reactivated since, which begins the count anew.
    """
    found: dict[UUID, list[datetime]] = {user_id: list(instants) for user_id, instants in known.items()}
    new: list[Miss] = []
    for miss in misses:
        before = found.setdefault(miss.user_id, [])
        if rules.counts(miss.counted_from, miss.missed_at) and not _is_told(miss, before, rules):
            before.append(miss.missed_at)
            new.append(miss)
    return new


def _is_told(miss: Miss, before: Iterable[datetime], rules: MissRules) -> bool:
    return any(
        rules.counts(min(instant, miss.missed_at), max(instant, miss.missed_at))
        for instant in before
        if miss.reactivated_at is None or instant > miss.reactivated_at
    )
