"""What cleanup-service asks of user-service, and how its runs end."""

from typing import Literal, TypeAlias
from uuid import UUID

from event_contracts.contract import Audience, Contract, Instant, Kind
from event_contracts.users import Role

RunStatus: TypeAlias = Literal["completed", "failed"]
Trigger: TypeAlias = Literal["manual", "schedule"]


class FromCleanupService(Contract, frozen=True, kw_only=True):
    """What only cleanup-service may emit."""

    exchange = "cleanup.events"
    source = "/cleanup-service"


class RunStarted(FromCleanupService, frozen=True, kw_only=True):
    """A cleanup run was opened, and plans as soon as it knows of a `user.watermark` later than `started_at`.

    user-service answers with such a watermark at once, so that nobody has to wait for the next regular one.
    """

    type = "cleanup.run_started.v1"
    kind = Kind.FACT
    audience = Audience.PLATFORM

    run_id: UUID
    trigger: Trigger
    requested_by: UUID | None
    started_at: Instant

    @property
    def subject(self) -> str:
        """The run's id."""
        return str(self.run_id)


class CleanupRequest(FromCleanupService, frozen=True, kw_only=True):
    """Something a run asks user-service to do about one user."""

    kind = Kind.FACT
    audience = Audience.INTERNAL

    user_id: UUID
    run_id: UUID

    @property
    def subject(self) -> str:
        """The user's id."""
        return str(self.user_id)


class WarningDue(CleanupRequest, frozen=True, kw_only=True):
    """A user is to be told that deactivation follows at `deactivate_at` unless they become active before.

    Only user-service acts on it.
    """

    type = "cleanup.warning_due.v1"

    deactivate_at: Instant


class DeactivationRequested(CleanupRequest, frozen=True, kw_only=True):
    """A run asks for the deactivation of one of its members; the members of a run are sent in batches.

    A user whose latest activity is at or after `cutoff`, or who has one of `exempt_roles`, must be left alone.
    Each request is answered by `user.deactivated` or `user.deactivation_refused`.
    """

    type = "cleanup.deactivation_requested.v1"

    cutoff: Instant
    exempt_roles: tuple[Role, ...]
    requested_at: Instant


class PurgeRequested(CleanupRequest, frozen=True, kw_only=True):
    """A run asks for the erasure of a user who has been deactivated for long enough.

    A user who is active again, or was deactivated at or after `deactivated_before`, must be left alone.
    """

    type = "cleanup.purge_requested.v1"

    deactivated_before: Instant


class ReactivationRequested(CleanupRequest, frozen=True, kw_only=True):
    """The run `run_id` is undone, and this user, whom it deactivated, is to be switched on again.

    A user whose last deactivation was not the work of that run must be left alone. `requested_by` is the user who
    undoes the run, or null when that is an operator on the command line.
    """

    type = "cleanup.reactivation_requested.v1"

    requested_by: UUID | None


class RunCompleted(FromCleanupService, frozen=True, kw_only=True):
    """Every member of a cleanup run has an outcome: `candidates` = `deactivated` + `refused` + `failed`.

    The report `report_id` can be read. An answer that arrives later amends it and is told by a newer version of
    this state. `requested_by` is null for a scheduled run.
    """

    type = "cleanup.run_completed.v1"
    kind = Kind.STATE
    audience = Audience.PLATFORM

    run_id: UUID
    report_id: int
    status: RunStatus
    trigger: Trigger
    requested_by: UUID | None
    threshold_days: int
    cutoff: Instant
    candidates: int
    deactivated: int
    refused: int
    failed: int
    active_users_remaining: int
    started_at: Instant
    completed_at: Instant

    @property
    def subject(self) -> str:
        """The run's id."""
        return str(self.run_id)
