"""What is learnt from user-service's events."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from cleanup_service.persistence.unit_of_work import UnitOfWork
from service_chassis.messaging.envelope import Event


def learn_states(uow: UnitOfWork, events: Iterable[Event]) -> None:
    """Take over the states of users."""
    uow.known_users.apply_states([_state(event) for event in events])


def learn_activity(uow: UnitOfWork, events: Iterable[Event]) -> None:
    """Take over when users were last seen."""
    seen: dict[UUID, datetime] = {}
    for event in events:
        user_id = event.data.user_id
        seen[user_id] = max(event.data.at, seen.get(user_id, event.data.at))
    uow.known_users.apply_activity(seen)


def forget(uow: UnitOfWork, event: Event) -> None:
    """Leave a tombstone of a purged user."""
    uow.known_users.purge(event.data.user_id, event.version or 0, event.data.purged_at)


def lose(uow: UnitOfWork, ids: Collection[UUID], version: int) -> None:
    """Leave tombstones of users whom user-service does not know any more."""
    uow.known_users.lose(ids, version)


def advance_watermark(uow: UnitOfWork, events: Iterable[Event]) -> None:
    """Note how far user-service has told us."""
    for event in events:
        uow.known_users.advance_watermark(event.source, event.data.as_of)


def _state(event: Event) -> dict[str, Any]:
    data = event.data
    return {
        "user_id": data.user_id,
        "role": data.role,
        "status": data.status,
        "last_activity_at": data.last_activity_at,
        "version": event.version or 0,
    }
