"""Users: looked up one by one, listed page by page, and changed many at a time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service_chassis.database.paging import Page, Paging, ascending, fetch_page
from service_chassis.database.statements import among, insert_many, upsert
from service_chassis.ids import uuid7
from user_service.model.errors import EmailTaken, UserNotFound
from user_service.model.history import HistoryEntry
from user_service.model.user import Reason, Role, Status, User


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users a list holds; what is None does not restrict."""

    id: UUID | None = None
    status: str | None = None
    role: str | None = None
    email: str | None = None
    inactive_since: datetime | None = None

    def only(self, user_id: UUID) -> "UserFilter":
        """Return the same filter for one user."""
        return replace(self, id=user_id)

    def condition(self) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        for column, value in ((User.id, self.id), (User.status, self.status), (User.role, self.role)):
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
        """Add a new user, who has a number afterwards. Raises EmailTaken."""
        if self.by_email(user.email) is not None:
            raise EmailTaken
        self._session.add(user)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise EmailTaken from error
        return user

    def get(self, user_id: UUID) -> User:
        """Return a user. Raises UserNotFound."""
        return self._found(select(User).where(User.id == user_id))

    def locked(self, user_id: UUID) -> User:
        """Return a user whom nobody else changes until this transaction ends. Raises UserNotFound."""
        return self._found(select(User).where(User.id == user_id).with_for_update())

    def by_email(self, email: str) -> User | None:
        return self._session.scalar(select(User).where(User.email == email))

    def page(self, chosen: UserFilter, paging: Paging) -> Page[User]:
        """Return a piece of the list of users, in the order they came. Raises InvalidCursor."""
        return fetch_page(self._session, select(User).where(*chosen.condition()), ascending(User.number), paging)

    def locked_many(self, ids: Collection[UUID]) -> dict[UUID, Any]:
        """Return rows by id, locked in one order everywhere, so that two batches never wait in a circle."""
        rows = self._session.execute(
            select(*User.__table__.columns)
            .where(among(self._session, User.id, ids))
            .order_by(User.number)
            .with_for_update()
        )
        return {row.id: row for row in rows}

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

    def record_all(self, ids: Collection[UUID], same: Mapping[str, Any]) -> None:
        """Add one entry to the history of each of many users."""
        columns = {"id": [uuid7() for _ in ids], "user_id": list(ids)}
        insert_many(self._session, cast("Table", HistoryEntry.__table__), columns, same=same)

    def existing_emails(self, emails: Collection[str]) -> set[str]:
        return set(self._session.scalars(select(User.email).where(among(self._session, User.email, emails))))

    def insert_all(self, rows: Sequence[Mapping[str, Any]]) -> dict[UUID, int]:
        """Insert many new users by one statement; return the numbers of those whose address nobody took meanwhile."""
        if not rows:
            return {}
        new = upsert(self._session, cast("Table", User.__table__)).on_conflict_do_nothing(index_elements=["email"])
        inserted = self._session.execute(new.returning(User.id, User.number), [dict(row) for row in rows])
        return {row.id: row.number for row in inserted}

    def history(self, user_id: UUID) -> Sequence[HistoryEntry]:
        """Return what happened to a user, newest first."""
        entries = select(HistoryEntry).where(HistoryEntry.user_id == user_id)
        return list(self._session.scalars(entries.order_by(HistoryEntry.at.desc(), HistoryEntry.id.desc())))

    def has_active_admin(self) -> bool:
        admins = select(func.count()).where(User.role == Role.ADMIN, User.status == Status.ACTIVE)
        return bool(self._session.scalar(admins))

    def _found(self, query: Select[User]) -> User:
        user = self._session.scalar(query)
        if user is None:
            raise UserNotFound
        return user
