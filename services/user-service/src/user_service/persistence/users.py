"""Users: looked up one by one, listed page by page, and changed many at a time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, bindparam, case, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service_chassis.database.paging import Order, Page, Paging, ascending, descending, fetch_page
from service_chassis.database.statements import among, insert_many, upsert
from service_chassis.ids import uuid7
from user_service.model.errors import EmailTaken, UsernameTaken, UserNotFound
from user_service.model.history import HistoryEntry
from user_service.model.user import NO_HOME, Reason, Role, Status, User, normalised_username
from user_service.persistence.accounts import members_seen_by

AS_THEY_CAME = ascending(User.number)
ORDERS = {
    "created_at": AS_THEY_CAME,
    "-created_at": descending(User.number),
    "email": ascending(User.email),
    "-email": descending(User.email),
    "last_activity_at": ascending(User.last_activity_at, User.number),
    "-last_activity_at": descending(User.last_activity_at, User.number),
}
"""How a list can be sorted; a minus means the other way round."""

# Made once: each request begins with one of them, and making a statement takes as long as reading its answer.
BY_ID = select(User).where(User.id == bindparam("id"))
BY_EMAIL = select(User).where(User.email == bindparam("email"))
BY_USERNAME = select(User).where(User.username == bindparam("username"))
_CREDENTIALS = select(
    User.id, User.email, User.email_verified_at, User.status, User.password_hash, User.device_generation
)
CREDENTIALS = (
    _CREDENTIALS.where(User.email.in_([bindparam("email"), bindparam("plain")]))
    .order_by(case((User.email == bindparam("plain"), 0), else_=1))
    .limit(1)
)
CREDENTIALS_BY_USERNAME = _CREDENTIALS.where(User.username == bindparam("username"))
LOCKED = BY_ID.with_for_update().execution_options(populate_existing=True)

_TABLE = cast("Table", User.__table__)
SHOWN = select(
    *(column for column in _TABLE.c if column.name not in {"password_hash", "home_account_id"}),
    func.nullif(_TABLE.c.home_account_id, NO_HOME).label("home_account_id"),
    (_TABLE.c.status == Status.ACTIVE).label("is_active"),
).where(_TABLE.c.id == bindparam("id"))
"""What a user is shown of themselves: without an object around it, because nothing is asked for as often."""


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users a list holds; what is None does not restrict."""

    visible_to: UUID | None = None
    visible_role: str | None = None
    """A role whose users are visible besides, where `visible_to` restricts."""
    number: int | None = None
    status: str | None = None
    role: str | None = None
    email: str | None = None
    inactive_since: datetime | None = None

    def as_seen_by(self, user_id: UUID, role: str | None = None) -> "UserFilter":
        """Return the same filter among those somebody sees: oneself, members of accounts one administers, a role."""
        return replace(self, visible_to=user_id, visible_role=role)

    def condition(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        if self.visible_to is not None:
            visible = (User.id == self.visible_to) | User.id.in_(members_seen_by(self.visible_to))
            conditions.append(visible if self.visible_role is None else visible | (User.role == self.visible_role))
        for column, value in ((User.number, self.number), (User.status, self.status), (User.role, self.role)):
            if value is not None:
                conditions.append(column == value)
        if self.email is not None:
            conditions.append(User.email.contains(self.email.lower(), autoescape=True))
        if self.inactive_since is not None:
            conditions.append(User.last_activity_at < self.inactive_since)
        return conditions


class UserRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, user: User) -> User:
        """Add a new user, who has a number afterwards. Raises EmailTaken, UsernameTaken."""
        if self.by_email(user.email) is not None:
            raise EmailTaken
        if user.username is not None and self.by_username(user.username) is not None:
            raise UsernameTaken
        self._session.add(user)
        self._flush()
        return user

    def call(self, user: User, username: str | None) -> bool:
        """Give a user another username, or none; False when it is the same. Raises InvalidUsername, UsernameTaken."""
        holder = None if username is None else self.by_username(normalised_username(username))
        if holder is not None and holder.id != user.id:
            raise UsernameTaken
        changes = user.call(username)
        self._flush()
        return changes

    def readdress(self, user: User, email: str) -> None:
        """Give a user another address. Raises EmailTaken."""
        if self.by_email(email) is not None:
            raise EmailTaken
        user.readdress(email)
        self._flush()

    def get(self, user_id: UUID) -> User:
        """Return a user. Raises UserNotFound."""
        return self._found(BY_ID, id=user_id)

    def shown(self, user_id: UUID) -> Mapping[Any, Any]:
        """Return what a user is shown of themselves. Raises UserNotFound."""
        found = self._session.execute(SHOWN, {"id": user_id}).mappings().one_or_none()
        if found is None:
            raise UserNotFound
        return found

    def numbered(self, number: int) -> User:
        """Return the user of a public number. Raises UserNotFound."""
        return self._found(select(User).where(User.number == number))

    def locked(self, user_id: UUID) -> User:
        """Return a user as it stands now, whom nobody else changes until this transaction ends. Raises UserNotFound."""
        return self._found(LOCKED, id=user_id)

    def by_email(self, email: str) -> User | None:
        found: User | None = self._session.scalar(BY_EMAIL, {"email": email})
        return found

    def by_username(self, username: str) -> User | None:
        found: User | None = self._session.scalar(BY_USERNAME, {"username": username})
        return found

    def credentials(self, email: str, plain: str) -> Any:
        """Return what a sign-in has to know of whoever has an address, or else its plain spelling, or None.

        It is hardly more work for somebody than for nobody.
        """
        return self._session.execute(CREDENTIALS, {"email": email, "plain": plain}).one_or_none()

    def credentials_by_username(self, username: str) -> Any:
        """Return the same of whoever has a username, at the same cost."""
        return self._session.execute(CREDENTIALS_BY_USERNAME, {"username": username}).one_or_none()

    def page(self, chosen: UserFilter, paging: Paging, order: Order = AS_THEY_CAME) -> Page[User]:
        """Return a piece of the list of users. Raises InvalidCursor."""
        return fetch_page(self._session, select(User).where(*chosen.condition()), order, paging)

    def locked_many(self, ids: Collection[UUID]) -> dict[UUID, Any]:
        """Return rows by id, locked in one order everywhere, so that two batches never wait in a circle."""
        rows = self._session.execute(
            select(*User.__table__.columns)
            .where(among(self._session, User.id, ids))
            .order_by(User.number)
            .with_for_update()
        )
        return {row.id: row for row in rows}

    def lock_holders(self, emails: Collection[str]) -> None:
        """Lock whoever has one of these addresses, in the same order."""
        held = select(User.id).where(among(self._session, User.email, emails)).order_by(User.number)
        self._session.execute(held.with_for_update())

    def active_admins(self) -> list[UUID]:
        """Return the active admins, locked, so that two requests cannot each leave the other's admin as the last."""
        admins = select(User.id).where(User.role == Role.ADMIN, User.status == Status.ACTIVE)
        return list(self._session.scalars(admins.order_by(User.number).with_for_update()))

    def deactivate_all(self, ids: Collection[UUID], reason: Reason, run_id: UUID, *, at: datetime) -> None:
        """Switch off many users by one statement."""
        self._session.execute(
            update(User)
            .where(among(self._session, User.id, ids))
            .values(
                status=Status.DEACTIVATED,
                deactivated_at=at,
                deactivation_reason=reason,
                deactivated_by_run=run_id,
                version=User.version + 1,
            )
            .execution_options(synchronize_session=False)
        )

    def lose_home(self, account_id: int, ids: Collection[UUID]) -> None:
        """Note that an account is no longer the own one of those whose it was; they are not given another."""
        own = among(self._session, User.id, ids) & (User.home == account_id)
        self._session.execute(update(User).where(own).values(home=NO_HOME))

    def record_all(self, ids: Collection[UUID], same: Mapping[str, Any]) -> None:
        """Add one entry to the history of each of many users."""
        columns = {"id": [uuid7() for _ in ids], "user_id": list(ids)}
        insert_many(self._session, cast("Table", HistoryEntry.__table__), columns, same=same)

    def states(self, ids: Collection[UUID]) -> list[dict[str, Any]]:
        """Return what other services' projections hold of each of these users that there is."""
        state = select(User.id, User.role, User.status, User.version, User.reactivated_at, User.name, User.username)
        return [dict(row) for row in self._session.execute(state.where(among(self._session, User.id, ids))).mappings()]

    def existing_emails(self, emails: Collection[str]) -> set[str]:
        return set(self._session.scalars(select(User.email).where(among(self._session, User.email, emails))))

    def existing_usernames(self, usernames: Collection[str]) -> set[str]:
        if not usernames:
            return set()
        taken = select(User.username).where(among(self._session, User.username, usernames))
        return {username for username in self._session.scalars(taken) if username is not None}

    def insert_all(self, rows: Sequence[Mapping[str, Any]]) -> dict[UUID, int]:
        """Insert many new users by one statement; return the numbers of those whose names nobody took meanwhile."""
        if not rows:
            return {}
        new = upsert(self._session, cast("Table", User.__table__)).on_conflict_do_nothing()
        inserted = self._session.execute(new.returning(User.id, User.number), [dict(row) for row in rows])
        return {row.id: row.number for row in inserted}

    def history(self, user_id: UUID, paging: Paging) -> Page[HistoryEntry]:
        """Return a piece of what happened to a user, newest first."""
        return fetch_page(self._session, _history_of(user_id), descending(HistoryEntry.at, HistoryEntry.id), paging)

    def whole_history(self, user_id: UUID) -> Sequence[HistoryEntry]:
        """Return all that happened to a user, newest first."""
        newest_first = descending(HistoryEntry.at, HistoryEntry.id)
        return list(self._session.scalars(newest_first.apply(_history_of(user_id))))

    def forget_reasons(self, user_id: UUID) -> None:
        """Erase the words in which people said why they did something to a user."""
        entries = update(HistoryEntry).where(HistoryEntry.user_id == user_id).values(reason=None)
        self._session.execute(entries.execution_options(synchronize_session=False))

    def has_active_admin(self) -> bool:
        admins = select(func.count()).where(User.role == Role.ADMIN, User.status == Status.ACTIVE)
        return bool(self._session.scalar(admins))

    def _flush(self) -> None:
        try:
            self._session.flush()
        except IntegrityError as error:
            raise (UsernameTaken if "users_username" in str(error.orig) else EmailTaken) from error

    def _found(self, query: Select[User], **values: Any) -> User:
        user = self._session.scalar(query, values)
        if user is None:
            raise UserNotFound
        return user


def _history_of(user_id: UUID) -> Select[HistoryEntry]:
    return select(HistoryEntry).where(HistoryEntry.user_id == user_id)
