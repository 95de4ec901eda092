"""Erasing who somebody was. What others did together with this user stays, under an id that names nobody."""

from datetime import timedelta
from uuid import UUID

from service_chassis.messaging.envelope import Event
from user_service.messaging import publications
from user_service.model.one_time_token import Purpose
from user_service.model.user import Reason, Status, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import accounts, lifecycle, members


def purge(
    uow: UnitOfWork, user_id: UUID, note: str, *, by: str, tokens_live: timedelta, run_id: UUID | None = None
) -> User:
    """Erase the personal data of a user from every table that is kept, for good.

    Accounts nobody else belongs to go as well. Raises UserNotFound, AlreadyPurged, LastAdmin, LastAccountAdmin.
    """
    user = _locked(uow, user_id)
    _forget(uow, user)
    user.purge(at=uow.now)
    uow.sessions.end_all([user.id], reason="purged", at=uow.now, tokens_live=tokens_live)
    _leave_accounts(uow, user_id, by=by)
    uow.record(by, "user_purged", user, note)
    uow.publish(publications.user_purged(user, uow.now, run_id))
    return user


def purge_as_requested(uow: UnitOfWork, request: Event, *, tokens_live: timedelta) -> None:
    """Purge a user whom cleanup switched off long enough ago; whoever else it may be is left alone.

    Raises UserNotFound, LastAdmin, LastAccountAdmin.
    """
    asked = request.data
    user = _locked(uow, asked.user_id)
    if user.status != Status.DEACTIVATED or user.deactivation_reason != Reason.INACTIVITY:
        return
    if user.deactivated_at is not None and user.deactivated_at < asked.deactivated_before:
        actor = f"cleanup-run:{asked.run_id}"
        purge(uow, asked.user_id, Reason.INACTIVITY, by=actor, tokens_live=tokens_live, run_id=asked.run_id)


def _locked(uow: UnitOfWork, user_id: UUID) -> User:
    """Return a user the others can do without, locked, with the accounts it leaves locked before."""
    uow.accounts.lock_joined_by(user_id)
    lifecycle.check_not_last(uow, user_id)
    return uow.users.locked(user_id)


def _forget(uow: UnitOfWork, user: User) -> None:
    uow.users.forget_reasons(user.id)
    uow.sessions.forget_origins(user.id)
    uow.preferences.forget(user.id)
    uow.notifications.forget_contents(user.id, user.email)
    uow.invitations.forget(user.email)
    uow.one_time_tokens.drop(user.id, list(Purpose))
    uow.recovery_requests.forget(user.email)


def _leave_accounts(uow: UnitOfWork, user_id: UUID, *, by: str) -> None:
    for membership in uow.accounts.memberships_of(user_id):
        if len(uow.accounts.memberships_in(membership.account_id)) == 1:
            accounts.close(uow, uow.accounts.get(membership.account_id), by=by)
        else:
            members.revoke(uow, membership, by=by)
