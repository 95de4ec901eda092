"""Tokens that go out by mail."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Row, delete, select
from sqlalchemy.orm import Session

from service_chassis.database.statements import delete_some
from user_service.model.errors import InvalidOneTimeToken
from user_service.model.one_time_token import OneTimeToken, Purpose
from user_service.model.secret import Secret, digest_of


class OneTimeTokenRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def issue(self, user_id: UUID, purpose: Purpose, email: str, *, at: datetime, lifetime: timedelta) -> str:
        """Return a new token, which replaces the user's older one for the same purpose and address."""
        same = (OneTimeToken.user_id == user_id) & (OneTimeToken.purpose == purpose) & (OneTimeToken.email == email)
        self._session.execute(delete(OneTimeToken).where(same).execution_options(synchronize_session=False))
        secret = Secret.new()
        self._session.add(OneTimeToken.issue(secret, user_id, purpose, email, at=at, lifetime=lifetime))
        return secret.plain

    def holder(self, token: str, purpose: Purpose, *, at: datetime) -> UUID:
        """Return whose token this is, without using it up. Raises InvalidOneTimeToken."""
        user_id = self._session.scalar(select(OneTimeToken.user_id).where(*_usable(token, purpose, at)))
        if user_id is None:
            raise InvalidOneTimeToken
        return user_id

    def use(self, token: str, purpose: Purpose, *, at: datetime) -> Row[str, datetime]:
        """Use a token up; return the `email` it spoke for and when it was `created_at`. Raises InvalidOneTimeToken."""
        used = delete(OneTimeToken).where(*_usable(token, purpose, at))
        returning = used.returning(OneTimeToken.email, OneTimeToken.created_at)
        row = self._session.execute(returning.execution_options(synchronize_session=False)).one_or_none()
        if row is None:
            raise InvalidOneTimeToken
        return row

    def issued_since(self, user_id: UUID, purpose: Purpose, since: datetime) -> bool:
        recent = select(OneTimeToken.created_at).where(
            OneTimeToken.user_id == user_id, OneTimeToken.purpose == purpose, OneTimeToken.created_at > since
        )
        return self._session.scalar(recent) is not None

    def drop(self, user_id: UUID, purposes: Collection[Purpose] = tuple(Purpose)) -> None:
        """Take a user's tokens back."""
        theirs = (OneTimeToken.user_id == user_id) & OneTimeToken.purpose.in_(purposes)
        self._session.execute(delete(OneTimeToken).where(theirs).execution_options(synchronize_session=False))

    def drop_issued_since(self, user_id: UUID, purpose: Purpose, since: datetime) -> None:
        """Take back what was issued to a user at an instant or later."""
        later = (OneTimeToken.user_id == user_id) & (OneTimeToken.created_at >= since)
        dropped = delete(OneTimeToken).where(later, OneTimeToken.purpose == purpose)
        self._session.execute(dropped.execution_options(synchronize_session=False))

    def forget(self, now: datetime) -> bool:
        return delete_some(self._session, OneTimeToken.token_hash, OneTimeToken.expires_at <= now)


def _usable(token: str, purpose: Purpose, at: datetime) -> tuple[ColumnElement[bool], ...]:
    same = OneTimeToken.token_hash == digest_of(token)
    return same, OneTimeToken.purpose == purpose, OneTimeToken.expires_at > at
