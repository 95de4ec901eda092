"""A task: who has to do what by when, and which statuses follow each other."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from sqlalchemy import Index, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from service_chassis.ids import uuid7
from task_service.model.actor import Actor
from task_service.model.errors import (
    DeadlineInPast,
    DeadlinePassed,
    InvalidTransition,
    SameAssignee,
    StaleVersion,
    StatusNotYours,
)
from task_service.model.tables import Entity

TITLE_LIMIT = 200
DESCRIPTION_LIMIT = 10_000


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    MISSED = "missed"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    """A deleted task is kept, and shown to nobody."""


class Priority(StrEnum):
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


OPEN = frozenset({TaskStatus.PENDING, TaskStatus.IN_PROGRESS})
IS_OPEN = "status IN ('pending', 'in_progress')"
"""The same as indexes say it."""
NEXT: Mapping[str, frozenset[TaskStatus]] = {
    TaskStatus.PENDING: frozenset({TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED, TaskStatus.CANCELLED}),
    TaskStatus.IN_PROGRESS: frozenset({TaskStatus.PENDING, TaskStatus.COMPLETED, TaskStatus.CANCELLED}),
    TaskStatus.MISSED: frozenset({TaskStatus.COMPLETED, TaskStatus.CANCELLED}),
}
"""What a person may set after each status; what is not here is final, and into `missed` only time leads."""


def _index(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, postgresql_where=text(where), sqlite_where=text(where))


class Task(Entity):
    """`version` rises with every change of public state; whoever names an older one is told that it is stale."""

    __tablename__ = "tasks"
    __table_args__ = (
        # What a sweep looks for, so that it costs what it finds and not what there is.
        _index("tasks_due", "deadline", "id", where=IS_OPEN),
        # Of a long history only what is not done, for lists of what is overdue.
        _index("tasks_undone", "deadline", "id", where="status IN ('pending', 'in_progress', 'missed')"),
        _index("tasks_to_announce", "deadline", "id", where=f"{IS_OPEN} AND due_soon_at IS NULL"),
        _index("tasks_missed", "assignee_id", "missed_at", where="status = 'missed' AND excused_at IS NULL"),
        Index("tasks_assignee", "assignee_id", "id"),
        Index("tasks_creator", "creator_id", "id"),
        Index("tasks_deadline", "deadline", "id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    priority: Mapped[str] = mapped_column(Text)
    deadline: Mapped[datetime] = mapped_column(UtcDateTime)
    assignee_id: Mapped[UUID] = mapped_column(Uuid)
    creator_id: Mapped[UUID] = mapped_column(Uuid)
    version: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_soon_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When managers were alerted that the deadline is near; null until then."""
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    missed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The deadline of a missed task, however late that was noticed; null otherwise."""
    excused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @classmethod
    def assign(
        cls,
        title: str,
        description: str,
        priority: Priority,
        deadline: datetime,
        *,
        to: UUID,
        by: UUID,
        at: datetime,
    ) -> Self:
        """Return a new task. Raises DeadlineInPast."""
        return cls(
            id=uuid7(),
            title=title,
            description=description,
            status=TaskStatus.PENDING,
            priority=priority,
            deadline=_ahead(deadline, at),
            assignee_id=to,
            creator_id=by,
            version=1,
            created_at=at,
            updated_at=at,
        )

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def excused(self) -> bool:
        return self.excused_at is not None

    def is_visible_to(self, actor: Actor) -> bool:
        return actor.manages or self.assignee_id == actor.id

    def check_version(self, version: int | None) -> None:
        """Raise StaleVersion when a caller knows another version than this."""
        if version is not None and version != self.version:
            raise StaleVersion

    def move(self, status: TaskStatus, version: int | None, *, at: datetime) -> None:
        """Take the next status as the assignee.

        Raises StatusNotYours, DeadlinePassed, StaleVersion, InvalidTransition, in this order: whoever is too late is
        told so, and not that the clock has changed the task meanwhile.
        """
        if status not in {*OPEN, TaskStatus.COMPLETED}:
            raise StatusNotYours
        if self.status == TaskStatus.MISSED or (self.is_open and self.deadline < at):
            raise DeadlinePassed
        self.correct(status, version, at=at)

    def correct(self, status: TaskStatus, version: int | None, *, at: datetime) -> None:
        """Take the next status as a manager, also that of a missed task. Raises StaleVersion, InvalidTransition."""
        self.check_version(version)
        if status not in NEXT.get(self.status, frozenset()):
            raise InvalidTransition
        self._become(status, at)
        self.completed_at = at if status is TaskStatus.COMPLETED else None

    def extend(self, deadline: datetime, *, at: datetime) -> None:
        """Get a new deadline; a missed task is open again. Raises InvalidTransition, DeadlineInPast."""
        self._check_undone()
        self.deadline = _ahead(deadline, at)
        self.due_soon_at = None
        self.excused_at = None
        self._become(TaskStatus.PENDING if self.status == TaskStatus.MISSED else TaskStatus(self.status), at)

    def excuse(self, *, at: datetime) -> None:
        """Count no more against the assignee. Raises InvalidTransition."""
        self._check_undone()
        if self.excused:
            raise InvalidTransition
        self.excused_at = at
        self._changed(at)

    def reassign(self, assignee_id: UUID, *, at: datetime) -> None:
        """Be somebody else's, while there is time. Raises InvalidTransition, SameAssignee."""
        if not self.is_open:
            raise InvalidTransition
        if assignee_id == self.assignee_id:
            raise SameAssignee
        self.assignee_id = assignee_id
        self.excused_at = None
        self._changed(at)

    def edit(self, title: str, description: str, priority: Priority, *, at: datetime) -> None:
        self.title = title
        self.description = description
        self.priority = priority
        self._changed(at)

    def delete(self, *, at: datetime) -> None:
        self._become(TaskStatus.DELETED, at)

    def _check_undone(self) -> None:
        if not self.is_open and self.status != TaskStatus.MISSED:
            raise InvalidTransition

    def _become(self, status: TaskStatus, at: datetime) -> None:
        self.status = status
        self.missed_at = None
        self._changed(at)

    def _changed(self, at: datetime) -> None:
        self.updated_at = at
        self.version += 1


def _ahead(deadline: datetime, at: datetime) -> datetime:
    if deadline <= at:
        raise DeadlineInPast(fields={"deadline": ["It must lie in the future."]})
    return deadline.astimezone(UTC)
