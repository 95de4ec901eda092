"""Proof of an address, and the end of what others left under it before.

Anybody can register with the address of somebody else, and wait for them to come: signed in, on devices that are known,
with a push token, as Admin of the account. Whoever proves the address later gets none of that along.
"""

from datetime import timedelta
from uuid import UUID

from user_service.model.membership import AccountRole, Membership
from user_service.model.one_time_token import Purpose
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import accounts, members

NOW = timedelta(0)
PROOF = "address-proof"
"""Who did it, in the history."""


def of_address(uow: UnitOfWork, user: User, *, prover: UUID | None, tokens_live: timedelta) -> None:
    """Note that an address is its user's, who is locked; what was left before the first proof ends.

    It stays where the proof comes from a session of the user: who registered and who reads the mail are one.
    """
    user.email_verified_at = user.email_verified_at or uow.now
    if not user.is_unproven:
        return
    user.is_unproven = False
    if prover != user.id:
        _end_what_was_left(uow, user, tokens_live)


def lock_what_may_end(uow: UnitOfWork, user_id: UUID) -> None:
    """Lock what a proof may change, before the user is locked, as all do."""
    if uow.users.get(user_id).is_unproven:
        uow.accounts.lock_joined_by(user_id)


def _end_what_was_left(uow: UnitOfWork, user: User, tokens_live: timedelta) -> None:
    user.forget_devices()
    uow.sessions.end_all([user.id], reason="address_proven", at=uow.now, tokens_live=tokens_live)
    uow.one_time_tokens.drop(user.id, list(Purpose))
    uow.invitations.revoke_all_by(user.id, at=uow.now)
    opened = uow.accounts.opened_by(user)
    let_in = uow.accounts.let_in_by(user.id)
    for membership in uow.accounts.memberships_of(user.id):
        if membership.account_id in opened:
            _take_over(uow, membership)
        else:
            _send_away(uow, membership.account_id, let_in)
    uow.record(PROOF, "user_unproven_access_ended", user)


def _take_over(uow: UnitOfWork, own: Membership) -> None:
    """Leave an account to its user alone, with another token."""
    account = uow.accounts.get(own.account_id)
    for membership in uow.accounts.memberships_in(account.id):
        if membership.user_id != own.user_id:
            members.revoke(uow, membership, by=PROOF)
    if own.role != AccountRole.ADMIN:
        members.give(uow, own, AccountRole.ADMIN, by=PROOF)
    uow.invitations.revoke_all_of(account.id, at=uow.now)
    accounts.renew_token(uow, account, NOW, by=PROOF)


def _send_away(uow: UnitOfWork, account_id: int, let_in: set[tuple[int, UUID]]) -> None:
    """End the memberships in somebody else's account that were given in the name of a user, unless it needs them."""
    for membership in uow.accounts.memberships_in(account_id):
        if (account_id, membership.user_id) in let_in and not members.is_needed(uow, membership):
            members.revoke(uow, membership, by=PROOF)
