"""What is learnt from user-service's events."""

from collections.abc import Iterable
from typing import Any

from service_chassis.messaging.envelope import Event
from task_service.persistence.unit_of_work import UnitOfWork


def learn_states(uow: UnitOfWork, events: Iterable[Event]) -> None:
    """Take over the states of users, and alert managers to open tasks whose assignee is away."""
    states = [_state(event) for event in events]
    reactivated = uow.known_users.apply_states(states)
    # A sweep may have found misses since then, and passed them over because the user was not known to be back.
    uow.miss_limits.note(reactivated, uow.correlation_id)
    uow.alerts.follow_assignees(sorted({state["user_id"] for state in states}), uow.now)


def forget(uow: UnitOfWork, event: Event) -> None:
    """Leave a tombstone of a purged user, whose id in tasks and history leads to nobody from then on."""
    uow.known_users.purge(event.data.user_id, event.version or 0)
    uow.alerts.follow_assignees([event.data.user_id], uow.now)


def _state(event: Event) -> dict[str, Any]:
    data, version = event.data, event.version or 0
    has_names = hasattr(data, "name")
    return {
        "user_id": data.user_id,
        "role": data.role,
        "status": data.status,
        "reactivated_at": data.reactivated_at,
        "version": version,
        "name": data.name if has_names else None,
        "username": data.username if has_names else None,
        "named_version": version if has_names else 0,
    }
