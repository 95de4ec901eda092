"""What task-service says about tasks, and about who has missed too many of them."""

from typing import Literal, TypeAlias
from uuid import UUID

from event_contracts.contract import Audience, Contract, Instant, Kind

TaskStatus: TypeAlias = Literal["pending", "in_progress", "completed", "missed", "cancelled", "deleted"]
Priority: TypeAlias = Literal["low", "normal", "high", "urgent"]


class FromTaskService(Contract, frozen=True, kw_only=True):
    """What only task-service may emit."""

    exchange = "task.events"
    source = "/task-service"
    audience = Audience.PLATFORM


class TaskState(FromTaskService, frozen=True, kw_only=True):
    """The public state of a task, without the texts people wrote into it."""

    kind = Kind.STATE

    task_id: UUID
    assignee_id: UUID
    creator_id: UUID
    status: TaskStatus
    priority: Priority
    deadline: Instant
    excused: bool
    missed_at: Instant | None = None

    @property
    def subject(self) -> str:
        """The task's id."""
        return str(self.task_id)


class TaskAssigned(TaskState, frozen=True, kw_only=True):
    """A task came into being, or was handed to somebody else.

    `previous_assignee_id` names who had it before, and is null for a new task.
    """

    type = "task.assigned.v1"

    previous_assignee_id: UUID | None = None


class TaskStatusChanged(TaskState, frozen=True, kw_only=True):
    """Somebody changed a task: its status, its deadline, its priority, or whether it is excused.

    `deleted` is the tombstone of a task. A task that was missed and is not any more was corrected or given a new
    deadline.
    """

    type = "task.status_changed.v1"

    previous_status: TaskStatus
    actor_id: UUID


class TaskMissed(TaskState, frozen=True, kw_only=True):
    """The deadline of an open task passed; `missed_at` is the deadline, however late that was noticed."""

    type = "task.missed.v1"


class TaskMissLimitReached(FromTaskService, frozen=True, kw_only=True):
    """A user missed `missed` tasks within the window that ends at `reached_at`; told once per user and window.

    The oldest of them was missed at `counted_from`: whoever was reactivated then or later has not missed so many
    since. user-service decides, and answers with `user.deactivated`, or with `user.deactivation_refused` in which
    `run_id` is the `limit_id`.
    """

    type = "task.miss_limit_reached.v1"
    kind = Kind.FACT

    limit_id: UUID
    user_id: UUID
    missed: int
    counted_from: Instant
    reached_at: Instant

    @property
    def subject(self) -> str:
        """The user's id."""
        return str(self.user_id)


class AlertDigestDue(FromTaskService, frozen=True, kw_only=True):
    """A manager has many alerts that came up since the last digest and were not read, so many of each kind.

    Only user-service acts on it: it asks for an e-mail, if the manager wants any.
    """

    type = "task.alert_digest_due.v1"
    kind = Kind.FACT
    audience = Audience.INTERNAL

    digest_id: UUID
    manager_id: UUID
    missed: int
    due_soon: int
    assignee_deactivated: int
    consequence_held: int = 0

    @property
    def subject(self) -> str:
        """The manager's id."""
        return str(self.manager_id)
