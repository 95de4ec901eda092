"""Everything that is kept about one user, for the user to read."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from user_service.model.tables import Entity
from user_service.persistence.unit_of_work import UnitOfWork

SECRET = frozenset({"password_hash", "secret", "token_hash", "token_digest", "device_generation"})
"""Columns that are about the service's safety and tell nothing about anybody."""


def export(uow: UnitOfWork, user_id: UUID) -> dict[str, Any]:
    """Return the user's data by subject. Raises UserNotFound."""
    user = uow.users.get(user_id)
    return {
        "exported_at": uow.now,
        "user": _plain(user),
        "preferences": uow.preferences.of(user_id).plain(),
        "memberships": _all(uow.accounts.memberships_of(user_id)),
        "invitations": _all(uow.invitations.to_address(user.email)),
        "sessions": _all(uow.sessions.kept_of(user_id)),
        "notifications": _all(uow.notifications.to_user(user_id)),
        "history": _all(uow.users.whole_history(user_id)),
    }


def _all(entities: Iterable[Entity]) -> list[dict[str, Any]]:
    return [_plain(entity) for entity in entities]


def _plain(entity: Entity) -> dict[str, Any]:
    names = [column.key for column in entity.__mapper__.columns]
    return {name: getattr(entity, name) for name in names if name not in SECRET}
