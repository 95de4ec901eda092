"""Accounts: what users share, and the token by which data for it are recognised."""

from datetime import timedelta
from uuid import UUID

from user_service.messaging import publications
from user_service.model.account import Account
from user_service.model.actor import Actor
from user_service.model.errors import AccountNotFound, MayNotManageAccount
from user_service.model.membership import AccountRole, Membership, Standing
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork


def standing(uow: UnitOfWork, account_id: int, actor: Actor) -> Standing:
    return Standing(uow.accounts.granted_role(account_id, actor.user_id), actor.is_admin)


def seen(uow: UnitOfWork, account_id: int, actor: Actor) -> Account:
    """Return an account somebody may see; whoever may not is told that there is none. Raises AccountNotFound."""
    account = uow.accounts.get(account_id)
    if not standing(uow, account_id, actor).may_view:
        raise AccountNotFound
    return account


def managed(uow: UnitOfWork, account_id: int, actor: Actor) -> Account:
    """Return an account somebody may change, locked. Raises AccountNotFound, MayNotManageAccount."""
    account = uow.accounts.locked(account_id)
    check_may_manage(uow, account_id, actor)
    return account


def check_may_manage(uow: UnitOfWork, account_id: int, actor: Actor) -> None:
    """Raise MayNotManageAccount, or AccountNotFound for those who are not even to know of the account."""
    uow.accounts.get(account_id)
    relation = standing(uow, account_id, actor)
    if not relation.may_view:
        raise AccountNotFound
    if not relation.may_manage:
        raise MayNotManageAccount


def check_may_read_token(uow: UnitOfWork, account_id: int, actor: Actor) -> None:
    """Raise MayNotManageAccount unless somebody may read the token of an account."""
    if not standing(uow, account_id, actor).may_read_token:
        raise MayNotManageAccount("Only an Admin of the account reads its token.")


def create(uow: UnitOfWork, actor: Actor, name: str, website: str | None) -> Account:
    """Add an account whose Admin is its creator, who has to be Admin of one already. Raises MayNotManageAccount."""
    if not actor.is_admin and not uow.accounts.administers_any(actor.user_id):
        raise MayNotManageAccount("Only who is Admin of an account adds another.")
    return open_for(uow, actor.user_id, name, website, by=str(actor.user_id))


def open_for(uow: UnitOfWork, user_id: UUID, name: str, website: str | None, *, by: str) -> Account:
    """Add an account with a user as its Admin, and tell of both."""
    account = uow.accounts.add(Account.create(name.strip(), website, uow.seals.accounts, at=uow.now))
    uow.record_of_account(by, "account_created", account.id)
    uow.publish(publications.account_created(account))
    owner = Membership.grant(account.id, user_id, AccountRole.ADMIN, consented=True, at=uow.now)
    membership = uow.accounts.add_member(owner)
    uow.record_of_account(by, "member_added", account.id, str(user_id))
    uow.publish(publications.membership_granted(membership))
    return account


def open_home(uow: UnitOfWork, user: User, *, by: str) -> None:
    """Open the account that is a user's own."""
    user.home = open_for(uow, user.id, f"Account {user.number}", None, by=by).id


def change(uow: UnitOfWork, account_id: int, actor: Actor, *, name: str | None, website: str | None) -> Account:
    """Change name or website. Raises AccountNotFound, MayNotManageAccount."""
    account = managed(uow, account_id, actor)
    account.change(name=name, website=website, at=uow.now)
    uow.record_of_account(str(actor.user_id), "account_updated", account_id)
    uow.publish(publications.account_updated(account))
    return account


def rotate_token(uow: UnitOfWork, account_id: int, actor: Actor, overlap: timedelta) -> tuple[Account, UUID | None]:
    """Give out a new token, shown to Admins of the account. Raises AccountNotFound, MayNotManageAccount."""
    account = managed(uow, account_id, actor)
    token = renew_token(uow, account, overlap, by=str(actor.user_id))
    return account, token if standing(uow, account_id, actor).may_read_token else None


def renew_token(uow: UnitOfWork, account: Account, overlap: timedelta, *, by: str) -> UUID:
    """Give out a new token of an account that is locked."""
    token = account.rotate_token(uow.seals.accounts, overlap, at=uow.now)
    uow.record_of_account(by, "token_rotated", account.id)
    uow.publish(publications.account_updated(account))
    return token


def token_for(uow: UnitOfWork, account: Account, actor: Actor) -> UUID | None:
    """Return the token to an Admin of the account, which is noted; to others None."""
    if not standing(uow, account.id, actor).may_read_token:
        return None
    return read_token(uow, account, by=str(actor.user_id))


def read_token(uow: UnitOfWork, account: Account, *, by: str) -> UUID:
    """Return the token, and note who wanted to know."""
    uow.record_of_account(by, "token_read", account.id)
    return account.token(uow.seals.accounts)


def delete(uow: UnitOfWork, account_id: int, actor: Actor) -> None:
    """Delete an account, its memberships and its open invitations. Raises AccountNotFound, MayNotManageAccount."""
    close(uow, managed(uow, account_id, actor), by=str(actor.user_id))


def close(uow: UnitOfWork, account: Account, *, by: str) -> None:
    """Delete an account nobody needs any more, and tell of it and of the ends of its memberships."""
    members = uow.accounts.memberships_in(account.id)
    for membership in members:
        membership.revoke(at=uow.now)
    uow.users.lose_home(account.id, [membership.user_id for membership in members])
    uow.invitations.revoke_all_of(account.id, at=uow.now)
    account.delete(at=uow.now)
    uow.record_of_account(by, "account_deleted", account.id)
    uow.publish_all(publications.membership_revoked(membership, uow.now) for membership in members)
    uow.publish(publications.account_deleted(account, uow.now))
