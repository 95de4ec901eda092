"""What users do to themselves."""

from datetime import timedelta
from uuid import UUID

from user_service.messaging import publications
from user_service.model.user import Reason, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import lifecycle


def change(uow: UnitOfWork, user_id: UUID, changes: dict[str, str | None]) -> User:
    """Change the name or the push token, of which the name is told to others. Raises UserNotFound."""
    user = uow.users.locked(user_id)
    if "push_token" in changes:
        user.push_token = changes["push_token"] or None
    if changes.get("name") is not None and user.rename(str(changes["name"])):
        uow.record(str(user_id), "user_updated", user, "name")
        uow.publish(publications.user_updated(user))
    return user


def leave(uow: UnitOfWork, user_id: UUID, *, tokens_live: timedelta) -> User:
    """Switch oneself off. Raises UserNotFound, AlreadyDeactivated, LastAdmin."""
    return lifecycle.deactivate(uow, user_id, "", by=user_id, tokens_live=tokens_live, reason=Reason.SELF)
