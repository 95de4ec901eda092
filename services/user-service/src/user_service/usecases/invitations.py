"""Invitations to accounts: sent to an address, accepted by whoever holds the token and signs in under that address."""

from datetime import timedelta
from uuid import UUID

from service_chassis.database.paging import Page, Paging
from user_service.model.actor import Actor
from user_service.model.email import normalised_email
from user_service.model.errors import (
    AccountNotFound,
    AlreadyMember,
    InvitationNotFound,
    RoleAboveOwn,
    TooManyInvitations,
)
from user_service.model.invitation import MOST_A_DAY, Invitation, InvitationStatus
from user_service.model.membership import AccountRole, Membership
from user_service.model.secret import digest_of
from user_service.model.user import Signal
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import accounts, activity, members, notifying, throttling
from user_service.usecases.throttling import UNLIMITED, Attempt

DAY = timedelta(days=1)
KEPT = timedelta(days=7)
"""How long invitations are listed that were accepted, taken back or have expired."""


def invite(
    uow: UnitOfWork, account_id: int, actor: Actor, email: str, role: AccountRole, *, attempt: Attempt = UNLIMITED
) -> Invitation:
    """Invite somebody by mail who is no member; an earlier invitation that is still open is replaced.

    Raises AccountNotFound, MayNotManageAccount, RoleAboveOwn, AlreadyMember, TooManyInvitations,
    TooManyAttempts, InvalidEmail.
    """
    account = accounts.managed(uow, account_id, actor)
    own = accounts.standing(uow, account_id, actor).role
    if not actor.is_admin and (own is None or role.is_above(own)):
        raise RoleAboveOwn
    address = normalised_email(email)
    user = uow.users.by_email(address)
    if user is not None and uow.accounts.role_of(account_id, user.id) is not None:
        raise AlreadyMember
    if uow.invitations.most_sent_since(uow.now - DAY, of=account_id, by=actor.user_id) >= MOST_A_DAY:
        raise TooManyInvitations(retry_after=DAY.total_seconds())
    throttling.counted(uow, attempt)
    invitation, token = Invitation.to(address, account_id, role, actor.user_id, at=uow.now)
    uow.invitations.add(invitation)
    uow.record_of_account(str(actor.user_id), "member_invited", account_id, str(invitation.id))
    variables = {"account": account.name, "role": role.label}
    notifying.notify_address(uow, invitation.email, "account_invitation", variables, secrets={"token": token})
    return invitation


def revoke(uow: UnitOfWork, account_id: int, actor: Actor, invitation_id: UUID) -> Invitation:
    """Take an invitation back. Raises AccountNotFound, MayNotManageAccount, InvitationNotFound."""
    accounts.managed(uow, account_id, actor)
    invitation = uow.invitations.locked(account_id, invitation_id)
    invitation.revoke(at=uow.now)
    uow.record_of_account(str(actor.user_id), "invitation_revoked", account_id, str(invitation.id))
    return invitation


def listed(uow: UnitOfWork, account_id: int, actor: Actor, paging: Paging) -> Page[tuple[Invitation, InvitationStatus]]:
    """Return a piece of an account's invitations, newest first, each with what it is worth by now.

    Raises AccountNotFound, MayNotManageAccount, InvalidCursor.
    """
    accounts.check_may_manage(uow, account_id, actor)
    page = uow.invitations.page(account_id, paging)
    managers = uow.accounts.managers_among(account_id, {invitation.invited_by for invitation in page.items})
    return page.each(lambda sent: (sent, sent.status(at=uow.now, stands=sent.invited_by in managers)))


def accept(uow: UnitOfWork, user_id: UUID, token: str) -> Membership:
    """Use an invitation up, which counts as activity and proves the address; nobody loses a role by it.

    It is worth what its sender is: who may no longer invite has taken it back. Raises InvitationNotFound.
    """
    account_id = uow.invitations.account_of(digest_of(token))
    try:
        uow.accounts.locked(account_id)
    except AccountNotFound as error:
        raise InvitationNotFound from error
    user = uow.users.locked(user_id)
    invitation = uow.invitations.by_token(digest_of(token))
    invitation.accept(user.email, at=uow.now)
    if not uow.accounts.managers_among(account_id, [invitation.invited_by]):
        raise InvitationNotFound
    user.email_verified_at = user.email_verified_at or uow.now
    user.is_unproven = False
    activity.seen(uow, user, Signal.INVITATION_ACCEPTED)
    role, present = AccountRole(invitation.role), uow.accounts.role_of(account_id, user_id)
    if present is not None and not role.is_above(present):
        return uow.accounts.live_membership(account_id, user_id)
    return members.grant(uow, account_id, user_id, role, by=str(user_id))


def forget(uow: UnitOfWork) -> bool:
    """Delete invitations that ended some time ago, whoever has their address now; say whether there may be more."""
    return uow.invitations.forget_ended(uow.now - KEPT)
