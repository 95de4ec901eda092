"""Switching users off and on."""

from datetime import timedelta
from uuid import UUID

from user_service.messaging import publications
from user_service.model.errors import LastAccountAdmin, LastAdmin, MayNotReactivate
from user_service.model.user import Reason, Role, User
from user_service.persistence.unit_of_work import UnitOfWork


def deactivate(
    uow: UnitOfWork, user_id: UUID, note: str, *, by: UUID, tokens_live: timedelta, reason: Reason = Reason.ADMIN
) -> User:
    """Switch a user off and end the live sessions; nothing is deleted.

    Raises UserNotFound, AlreadyDeactivated, LastAdmin, LastAccountAdmin.
    """
    check_not_last(uow, user_id)
    user = uow.users.locked(user_id)
    user.deactivate(reason, at=uow.now)
    uow.sessions.end_all([user.id], reason="deactivated", at=uow.now, tokens_live=tokens_live)
    uow.record(str(by), "user_deactivated", user, note)
    uow.publish(publications.user_deactivated(user, by))
    return user


def check_not_last(uow: UnitOfWork, user_id: UUID) -> None:
    """Raise LastAdmin or LastAccountAdmin if the others cannot do without a user.

    It locks the accounts and then the admins, and has to be called before the user is locked. That is the order of all
    locks: accounts, admins, other users; two who need what the other has would otherwise wait for each other.
    """
    uow.accounts.lock_administered_by([user_id])
    if uow.users.get(user_id).role == Role.ADMIN and uow.users.active_admins() == [user_id]:
        raise LastAdmin
    if uow.accounts.sole_admins([user_id]):
        raise LastAccountAdmin


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
