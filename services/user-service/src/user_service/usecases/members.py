"""Who belongs to an account."""

from dataclasses import dataclass
from uuid import UUID

from user_service.messaging import publications
from user_service.model.actor import Actor
from user_service.model.errors import AlreadyMember, LastAccountAdmin, UserNotFound
from user_service.model.membership import AccountRole, Membership
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import accounts


@dataclass(frozen=True, slots=True)
class Named:
    """A user, by whichever of these is given."""

    user_id: UUID | None = None
    user_number: int | None = None


def add(uow: UnitOfWork, account_id: int, actor: Actor, named: Named, role: AccountRole) -> tuple[Membership, User]:
    """Let an active user belong to an account at once, without asking; an admin of the platform is taken to have asked.

    Raises AccountNotFound, MayNotManageAccount, UserNotFound, AlreadyMember.
    """
    accounts.managed(uow, account_id, actor)
    user = _found(uow, named)
    if uow.accounts.granted_role(account_id, user.id) is not None:
        raise AlreadyMember
    return _granted(uow, account_id, user.id, role, consented=actor.is_admin, by=str(actor.user_id)), user


def grant(uow: UnitOfWork, account_id: int, user_id: UUID, role: AccountRole, *, by: str) -> Membership:
    """Give a user who has agreed to it a role in an account that is locked; nobody loses a role by that."""
    present = uow.accounts.granted_role(account_id, user_id)
    if present is None or role.is_above(present):
        return _granted(uow, account_id, user_id, role, consented=True, by=by)
    membership = uow.accounts.live_membership(account_id, user_id)
    membership.consented_at = uow.now
    uow.record_of_account(by, "member_agreed", account_id, str(user_id))
    return membership


def change_role(
    uow: UnitOfWork, account_id: int, actor: Actor, user_id: UUID, role: AccountRole
) -> tuple[Membership, User]:
    """Give a member another role. Raises AccountNotFound, MayNotManageAccount, MemberNotFound, LastAccountAdmin."""
    accounts.managed(uow, account_id, actor)
    membership = uow.accounts.live_membership(account_id, user_id)
    if membership.role != role:
        _keep_an_admin(uow, membership)
        give(uow, membership, role, by=str(actor.user_id))
    return membership, uow.users.get(user_id)


def give(uow: UnitOfWork, membership: Membership, role: AccountRole, *, by: str) -> None:
    """Give another role in an account that is locked, and tell of it."""
    membership.give(role, at=uow.now)
    uow.record_of_account(by, "member_role_changed", membership.account_id, str(membership.user_id))
    uow.publish(publications.membership_granted(membership))


def remove(uow: UnitOfWork, account_id: int, actor: Actor, user_id: UUID) -> None:
    """End a membership; members may leave by themselves.

    Raises AccountNotFound, MayNotManageAccount, MemberNotFound, LastAccountAdmin.
    """
    if user_id == actor.user_id:
        accounts.seen(uow, account_id, actor)
        uow.accounts.locked(account_id)
    else:
        accounts.managed(uow, account_id, actor)
    membership = uow.accounts.live_membership(account_id, user_id)
    _keep_an_admin(uow, membership)
    revoke(uow, membership, by=str(actor.user_id))


def revoke(uow: UnitOfWork, membership: Membership, *, by: str) -> None:
    """End a membership, and tell of it."""
    membership.revoke(at=uow.now)
    uow.users.lose_home(membership.account_id, [membership.user_id])
    uow.record_of_account(by, "member_removed", membership.account_id, str(membership.user_id))
    uow.publish(publications.membership_revoked(membership, uow.now))


def is_needed(uow: UnitOfWork, membership: Membership) -> bool:
    """Say whether an account would be left without an active Admin who has agreed to be that."""
    if not membership.is_consented or membership.role != AccountRole.ADMIN:
        return False
    return not uow.accounts.other_active_admins(membership.account_id, membership.user_id)


def _found(uow: UnitOfWork, named: Named) -> User:
    """Return an active user; about others nobody is told more than that there is none. Raises UserNotFound."""
    user = uow.users.numbered(named.user_number or 0) if named.user_id is None else uow.users.get(named.user_id)
    if not user.is_active:
        raise UserNotFound
    return user


def _granted(
    uow: UnitOfWork, account_id: int, user_id: UUID, role: AccountRole, *, consented: bool, by: str
) -> Membership:
    membership = uow.accounts.membership(account_id, user_id)
    if membership is None:
        new = Membership.grant(account_id, user_id, role, consented=consented, at=uow.now)
        membership = uow.accounts.add_member(new)
    else:
        membership.grant_again(role, consented=consented, at=uow.now)
    uow.record_of_account(by, "member_added", account_id, str(user_id))
    uow.publish(publications.membership_granted(membership))
    return membership


def _keep_an_admin(uow: UnitOfWork, membership: Membership) -> None:
    if is_needed(uow, membership):
        raise LastAccountAdmin
