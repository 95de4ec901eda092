"""Switching users off and on."""

from datetime import timedelta
from uuid import UUID

from user_service.messaging import publications
from user_service.model.errors import LastAdmin, MayNotReactivate
from user_service.model.user import Reason, Role, User
from user_service.persistence.unit_of_work import UnitOfWork


def deactivate(uow: UnitOfWork, user_id: UUID, note: str, *, by: UUID, tokens_live: timedelta) -> User:
    """Switch a user off and end the live sessions; nothing is deleted.

    Raises UserNotFound, AlreadyDeactivated, LastAdmin.
    """
    user = uow.users.locked(user_id)
    if user.role == Role.ADMIN and uow.users.active_admins() == [user.id]:
        raise LastAdmin
    user.deactivate(Reason.ADMIN, at=uow.now)
    uow.sessions.end_all([user.id], reason="deactivated", at=uow.now, tokens_live=tokens_live)
    uow.record(str(by), "user_deactivated", user, note)
    uow.publish(publications.user_deactivated(user, by))
    return user


def reactivate(uow: UnitOfWork, user_id: UUID, note: str, *, by: UUID, as_role: Role) -> User:
    """Switch a user on again; the sessions from before stay ended.

    Raises UserNotFound, AlreadyActive, MayNotReactivate.
    """
    user = uow.users.locked(user_id)
    if as_role is not Role.ADMIN and user.role != Role.USER:
        raise MayNotReactivate
    user.reactivate(at=uow.now)
    uow.record(str(by), "user_reactivated", user, note)
    uow.publish(publications.user_reactivated(user, by))
    return user
