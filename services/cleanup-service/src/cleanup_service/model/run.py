"""A cleanup run: planned once, carried out by user-service, and closed when every member has an outcome."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy import BigInteger, Index, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from cleanup_service.model.errors import NotAwaitingApproval
from cleanup_service.model.policy import Policy
from cleanup_service.model.tables import Entity
from service_chassis.database import Json, UtcDateTime
from service_chassis.ids import uuid7
from service_chassis.messaging.tables import Sequence


class RunStatus(StrEnum):
    PLANNED = "planned"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    COMPLETED = "completed"
    FAILED = "failed"


class Outcome(StrEnum):
    DEACTIVATED = "deactivated"
    REFUSED = "refused"
    FAILED = "failed"


class Trigger(StrEnum):
    MANUAL = "manual"
    SCHEDULE = "schedule"


NO_ANSWER = "no_answer"


class Run(Entity):
    """A finished run is its report, whose id is the run's number. `slot` is unique: one run is open at a time."""

    __tablename__ = "runs"

    number: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(Uuid, unique=True)
    slot: Mapped[int | None] = mapped_column(unique=True)
    status: Mapped[str] = mapped_column(Text)
    trigger: Mapped[str] = mapped_column(Text)
    requested_by: Mapped[UUID | None] = mapped_column(Uuid)
    threshold_days: Mapped[int] = mapped_column()
    cutoff: Mapped[datetime] = mapped_column(UtcDateTime)
    exempt_roles: Mapped[list[str]] = mapped_column(Json)
    expect_up_to: Mapped[int | None] = mapped_column()
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    planned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    asked_up_to: Mapped[UUID | None] = mapped_column(Uuid)
    asked_all_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    candidates: Mapped[int] = mapped_column(default=0)
    deactivated: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    active_users_remaining: Mapped[int | None] = mapped_column()
    objection: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    correlation_id: Mapped[str] = mapped_column(Text)

    @classmethod
    def start(
        cls, policy: Policy, trigger: Trigger, correlation_id: str, *, at: datetime, requested_by: UUID | None = None
    ) -> Self:
        return cls(
            id=uuid7(),
            slot=1,
            status=RunStatus.PLANNED,
            trigger=trigger,
            requested_by=requested_by,
            threshold_days=policy.threshold_days,
            cutoff=policy.cutoff(at),
            exempt_roles=list(policy.exempt_roles),
            started_at=at,
            candidates=0,
            deactivated=0,
            refused=0,
            failed=0,
            correlation_id=correlation_id,
        )

    @property
    def is_open(self) -> bool:
        return self.slot is not None

    @property
    def duration_ms(self) -> int | None:
        if self.completed_at is None:
            return None
        return int((self.completed_at - self.started_at).total_seconds() * 1000)

    def shown(self) -> dict[str, Any]:
        """Return what a view of the run shows."""
        columns = {column.key: getattr(self, column.key) for column in self.__table__.columns}
        return {**columns, "duration_ms": self.duration_ms}

    def plan(self, candidates: int, objection: str | None, *, at: datetime) -> None:
        """Fix the plan; with an objection it waits for a person."""
        self.candidates = candidates
        self.planned_at = at
        self.objection = objection
        self.status = RunStatus.AWAITING_APPROVAL if objection else RunStatus.RUNNING

    def approve(self) -> None:
        """Let a waiting run go on. Raises NotAwaitingApproval."""
        if self.status != RunStatus.AWAITING_APPROVAL:
            raise NotAwaitingApproval
        self.status = RunStatus.RUNNING

    def count(self, outcomes: Mapping[str, int]) -> None:
        """Take over how many members have which outcome."""
        counts = tally(outcomes)
        self.deactivated = counts["deactivated"]
        self.refused = counts["refused"]
        self.failed = counts["failed"]

    def complete(self, outcomes: Mapping[str, int], active_users_remaining: int, *, at: datetime) -> None:
        self.count(outcomes)
        self._close(RunStatus.COMPLETED, active_users_remaining, at)

    def fail(self, error: str, active_users_remaining: int, *, at: datetime) -> None:
        self.error = error
        self._close(RunStatus.FAILED, active_users_remaining, at)

    def _close(self, status: RunStatus, active_users_remaining: int, at: datetime) -> None:
        self.status = status
        self.slot = None
        self.completed_at = at
        self.active_users_remaining = active_users_remaining


class Member(Entity):
    """One user in a run's plan, with the evidence it was planned on and what became of it."""

    __tablename__ = "run_members"
    __table_args__ = (
        Index(
            "run_members_open",
            "run_number",
            postgresql_where=text("outcome IS NULL"),
            sqlite_where=text("outcome IS NULL"),
        ),
    )

    # No foreign key: one statement of the run itself writes them all, and a check per row would double its cost.
    run_number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    last_activity_at: Mapped[datetime] = mapped_column(UtcDateTime)
    asked: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    outcome_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


def tally(outcomes: Mapping[str, int]) -> dict[str, int]:
    """Return the count of every outcome, also of those that did not occur."""
    return {outcome.value: outcomes.get(outcome, 0) for outcome in Outcome}


def report_of(run: Run) -> dict[str, Any]:
    """Return a finished run as the report of it."""
    return {
        "id": run.number,
        "run_id": run.id,
        "timestamp": run.completed_at,
        "status": run.status,
        "mode": "deactivate",
        "trigger": run.trigger,
        "requested_by": run.requested_by,
        "threshold_days": run.threshold_days,
        "cutoff": run.cutoff,
        "candidates": run.candidates,
        "users_deleted": run.deactivated,
        "users_deactivated": run.deactivated,
        "users_purged": 0,
        "users_refused": run.refused,
        "users_failed": run.failed,
        "active_users_remaining": run.active_users_remaining,
        "duration_ms": run.duration_ms,
        "error": run.error,
    }
