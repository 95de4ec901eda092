"""What task-service says of who missed too many tasks. It was counted elsewhere; here it meets the truth."""

from datetime import timedelta
from uuid import UUID

from event_contracts import TaskMissLimitReached
from service_chassis.messaging.envelope import Event
from user_service.messaging import publications
from user_service.model.errors import UserNotFound
from user_service.model.user import Reason, Role, User
from user_service.persistence.unit_of_work import UnitOfWork

ACTOR = "missed-tasks-rule"


def deactivate(uow: UnitOfWork, event: Event, *, tokens_live: timedelta) -> None:
    """Switch the user off, or refuse with a reason: only role user, and not for what was before a reactivation."""
    limit: TaskMissLimitReached = event.data
    # In the order of all locks: accounts, admins, who are exempt here, other users.
    uow.accounts.lock_administered_by([limit.user_id])
    user = _found(uow, limit.user_id)
    reason = "last_admin" if uow.accounts.sole_admins([limit.user_id]) else _refusal(user, limit)
    if user is None or reason is not None:
        uow.publish(publications.deactivation_refused(limit.user_id, limit.limit_id, reason, uow.now, event))
        return
    user.deactivate(Reason.MISSED_TASKS, at=uow.now)
    uow.sessions.end_all([user.id], reason="deactivated", at=uow.now, tokens_live=tokens_live)
    uow.record(ACTOR, "user_deactivated", user, f"{limit.missed} tasks missed until {limit.reached_at:%Y-%m-%d %H:%M}.")
    uow.publish(publications.user_deactivated(user, None))


def _found(uow: UnitOfWork, user_id: UUID) -> User | None:
    try:
        return uow.users.locked(user_id)
    except UserNotFound:
        return None


def _refusal(user: User | None, limit: TaskMissLimitReached) -> str | None:
    if user is None:
        return "unknown_user"
    if not user.is_active:
        return "already_inactive"
    if user.role != Role.USER:
        return "exempt_role"
    if user.reactivated_at is not None and user.reactivated_at >= limit.counted_from:
        return "active_since_plan"
    return None
