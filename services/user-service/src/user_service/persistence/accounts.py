"""Accounts and who belongs to them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session, aliased

from service_chassis.database.paging import Page, Paging, ascending, descending, fetch_page
from service_chassis.database.statements import among
from user_service.model.account import Account
from user_service.model.errors import AccountNotFound, MemberNotFound
from user_service.model.history import AccountHistoryEntry
from user_service.model.membership import AccountRole, Membership
from user_service.model.user import NO_HOME, Role, Status, User

CONSENTED = Membership.consented_at.is_not(None)


class AccountRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, account: Account) -> Account:
        """Add a new account, which has its number afterwards."""
        self._session.add(account)
        self._session.flush()
        return account

    def get(self, account_id: int) -> Account:
        """Return an account. Raises AccountNotFound."""
        return self._found(_existing(account_id))

    def locked(self, account_id: int) -> Account:
        """Return an account, of which nobody else changes anything until this transaction ends.

        Raises AccountNotFound.
        """
        return self._found(_existing(account_id).with_for_update().execution_options(populate_existing=True))

    def by_token(self, token_hash: str, now: datetime) -> Account:
        """Return the account a token stands for. Raises AccountNotFound."""
        previous = (Account.previous_token_hash == token_hash) & (Account.previous_token_until > now)
        return self._found(select(Account).where((Account.token_hash == token_hash) | previous))

    def page(self, paging: Paging, *, administered_by: UUID | None, name: str | None) -> Page[Account]:
        """Return a piece of the accounts: of all, or of those that somebody administers."""
        chosen = select(Account).where(Account.deleted_at.is_(None))
        if administered_by is not None:
            chosen = chosen.where(Account.id.in_(administered(administered_by)))
        if name is not None:
            chosen = chosen.where(func.lower(Account.name).contains(name.lower(), autoescape=True))
        return fetch_page(self._session, chosen, ascending(Account.id), paging)

    def granted_role(self, account_id: int, user_id: UUID) -> AccountRole | None:
        """Return the role a user has, whose rights hold whether or not the user has agreed to it."""
        membership = self.membership(account_id, user_id)
        return AccountRole(membership.role) if membership is not None and membership.is_live else None

    def role_of(self, account_id: int, user_id: UUID) -> AccountRole | None:
        """Return the role a user has agreed to, by which others know who belongs to an account."""
        membership = self.membership(account_id, user_id)
        return self.granted_role(account_id, user_id) if membership is not None and membership.is_consented else None

    def managers_among(self, account_id: int, user_ids: Collection[UUID]) -> set[UUID]:
        """Return those of these users who may manage an account now: active Admins of it, or of the platform."""
        of_account = select(Membership.user_id).where(Membership.account_id == account_id, _administers(Membership))
        may_manage = (User.role == Role.ADMIN) | User.id.in_(of_account)
        chosen = among(self._session, User.id, user_ids) & (User.status == Status.ACTIVE)
        return set(self._session.scalars(select(User.id).where(chosen, may_manage)))

    def administers_any(self, user_id: UUID) -> bool:
        return bool(self._session.scalar(select(exists(administered(user_id)))))

    def membership(self, account_id: int, user_id: UUID) -> Membership | None:
        """Return a membership, also a revoked one."""
        return self._session.get(Membership, (account_id, user_id), populate_existing=True)

    def live_membership(self, account_id: int, user_id: UUID) -> Membership:
        """Return a membership that holds. Raises MemberNotFound."""
        membership = self.membership(account_id, user_id)
        if membership is None or not membership.is_live:
            raise MemberNotFound
        return membership

    def add_member(self, membership: Membership) -> Membership:
        self._session.add(membership)
        return membership

    def members(
        self, account_id: int, paging: Paging, email: str | None, *, email_of_all: bool
    ) -> Page[tuple[Membership, User]]:
        """Return a piece of the members with who they are, in the order the users came.

        By a part of the address are found those who have agreed to belong here, or all.
        """
        chosen = (
            select(Membership, User)
            .join(User, User.id == Membership.user_id)
            .where(Membership.account_id == account_id, Membership.revoked_at.is_(None))
        )
        if email is not None:
            chosen = chosen.where(User.email.contains(email.lower(), autoescape=True))
            chosen = chosen if email_of_all else chosen.where(CONSENTED)
        return fetch_page(self._session, chosen, ascending(User.number), paging)

    def memberships_in(self, account_id: int) -> list[Membership]:
        live = (Membership.account_id == account_id) & Membership.revoked_at.is_(None)
        return list(self._session.scalars(select(Membership).where(live).order_by(Membership.user_id)))

    def memberships_of(self, user_id: UUID) -> list[Membership]:
        live = (Membership.user_id == user_id) & Membership.revoked_at.is_(None)
        return list(self._session.scalars(select(Membership).where(live).order_by(Membership.account_id)))

    def opened_by(self, user: User) -> set[int]:
        """Return the accounts somebody opened and still belongs to."""
        return {account_id for account_id, _ in self._acts(user.id, "account_created")} | {user.home or NO_HOME}

    def let_in_by(self, user_id: UUID) -> set[tuple[int, UUID]]:
        """Return whom somebody let into which of the accounts he or she belongs to."""
        return {(account_id, UUID(subject)) for account_id, subject in self._acts(user_id, "member_added")}

    def lock_administered_by(self, user_ids: Collection[UUID]) -> None:
        """Lock the accounts that users administer, so that their Admins stay as they are."""
        self._lock(among(self._session, Membership.user_id, user_ids) & _administers(Membership))

    def lock_joined_by(self, user_id: UUID) -> None:
        """Lock the accounts somebody belongs to, so that their members stay as they are."""
        self._lock((Membership.user_id == user_id) & Membership.revoked_at.is_(None))

    def sole_admins(self, user_ids: Collection[UUID]) -> set[UUID]:
        """Return those without whom an account would have active members and no active Admin.

        Of several who go together nobody counts on another. Nobody counts who has not agreed to belong there: an
        account could otherwise keep people by naming them its members.
        """
        other, person = aliased(Membership), aliased(User)
        others = (
            select(other.account_id)
            .join(person, person.id == other.user_id)
            .where(
                other.account_id == Membership.account_id,
                other.revoked_at.is_(None),
                other.consented_at.is_not(None),
                person.status == Status.ACTIVE,
                ~among(self._session, person.id, user_ids),
            )
        )
        sole = select(Membership.user_id).where(
            among(self._session, Membership.user_id, user_ids),
            _administers(Membership),
            CONSENTED,
            others.exists(),
            ~others.where(other.role == AccountRole.ADMIN).exists(),
        )
        return set(self._session.scalars(sole))

    def other_active_admins(self, account_id: int, user_id: UUID) -> bool:
        """Say whether an account has an active Admin besides somebody, who has agreed to be that."""
        others = (
            select(Membership.user_id)
            .join(User, User.id == Membership.user_id)
            .where(Membership.account_id == account_id, _administers(Membership), Membership.user_id != user_id)
            .where(User.status == Status.ACTIVE, CONSENTED)
        )
        return bool(self._session.scalar(select(others.exists())))

    def history(self, account_id: int, paging: Paging) -> Page[AccountHistoryEntry]:
        """Return a piece of what happened to an account, newest first."""
        entries = select(AccountHistoryEntry).where(AccountHistoryEntry.account_id == account_id)
        return fetch_page(self._session, entries, descending(AccountHistoryEntry.number), paging)

    def _lock(self, memberships: ColumnElement[bool]) -> None:
        """Lock accounts in one order everywhere."""
        ids = select(Membership.account_id).where(memberships)
        self._session.execute(select(Account.id).where(Account.id.in_(ids)).order_by(Account.id).with_for_update())

    def _acts(self, user_id: UUID, action: str) -> list[tuple[int, str]]:
        entry = AccountHistoryEntry
        joined = select(Membership.account_id).where(Membership.user_id == user_id, Membership.revoked_at.is_(None))
        theirs = select(entry.account_id, entry.subject).where(entry.actor == str(user_id), entry.action == action)
        return [
            (row.account_id, row.subject) for row in self._session.execute(theirs.where(entry.account_id.in_(joined)))
        ]

    def _found(self, query: Select[Account]) -> Account:
        account = self._session.scalar(query)
        if account is None:
            raise AccountNotFound
        return account


def administered(user_id: UUID) -> Select[int]:
    """Select the accounts somebody administers."""
    return select(Membership.account_id).where(Membership.user_id == user_id, _administers(Membership))


def members_seen_by(user_id: UUID) -> Select[UUID]:
    """Select whom the Admin of accounts sees: the members of those, as far as they have agreed to it."""
    return select(Membership.user_id).where(
        Membership.account_id.in_(administered(user_id)), Membership.revoked_at.is_(None), CONSENTED
    )


def _administers(membership: type[Membership]) -> ColumnElement[bool]:
    return (membership.role == AccountRole.ADMIN) & membership.revoked_at.is_(None)


def _existing(account_id: int) -> Select[Account]:
    return select(Account).where(Account.id == account_id, Account.deleted_at.is_(None))
