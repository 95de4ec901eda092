"""Sessions and the feed of those that were ended."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session as DatabaseSession

from service_chassis.database.statements import among, changed
from service_chassis.tokens import LONGEST_LEEWAY
from user_service.model.session import Revocation, Session


class SessionRepository:
    def __init__(self, session: DatabaseSession) -> None:
        self._session = session

    def add(self, session: Session) -> Session:
        self._session.add(session)
        return session

    def get(self, session_id: UUID) -> Session | None:
        """Return a session as it stands now, also when this transaction has seen it before."""
        return self._session.get(Session, session_id, populate_existing=True)

    def step(self, session_id: UUID, counter: int, *, at: datetime) -> bool:
        """Use a refresh token: raise the counter if it still is the token's; of many callers one succeeds."""
        usable = (Session.id == session_id) & (Session.counter == counter)
        live = Session.ended_at.is_(None) & (Session.expires_at > at)
        statement = update(Session).where(usable & live).values(counter=counter + 1, rotated_at=at)
        return changed(self._session, statement.execution_options(synchronize_session=False)) == 1

    def end_all(self, user_ids: Collection[UUID], *, reason: str, at: datetime, tokens_live: timedelta) -> int:
        """End every live session of these users and tell the verifiers; return how many."""
        live = among(self._session, Session.user_id, user_ids) & Session.ended_at.is_(None)
        ended = update(Session).where(live).values(ended_at=at, end_reason=reason)
        rows = self._session.execute(
            ended.returning(Session.id, Session.rotated_at).execution_options(synchronize_session=False)
        ).all()
        # A session that issued no token within a token's life has none that anybody could use.
        usable_since = at - tokens_live - LONGEST_LEEWAY
        self._revoke([row.id for row in rows if row.rotated_at > usable_since], at, tokens_live)
        return len(rows)

    def end(self, session_id: UUID, *, reason: str, at: datetime, tokens_live: timedelta) -> bool:
        """End one session and tell the verifiers; False when it had ended before."""
        live = (Session.id == session_id) & Session.ended_at.is_(None)
        statement = update(Session).where(live).values(ended_at=at, end_reason=reason)
        if changed(self._session, statement.execution_options(synchronize_session=False)) == 0:
            return False
        self._revoke([session_id], at, tokens_live)
        return True

    def revocations(self, since: datetime | None, now: datetime) -> list[Revocation]:
        """Return sessions that were ended since an instant and whose tokens may still live."""
        query = select(Revocation).where(Revocation.expires_at > now).order_by(Revocation.number)
        if since is not None:
            query = query.where(Revocation.created_at >= since)
        return list(self._session.scalars(query))

    def forget_revocations(self, now: datetime) -> int:
        return changed(self._session, delete(Revocation).where(Revocation.expires_at <= now))

    def forget_ended(self, before: datetime) -> int:
        """Delete sessions that ended or expired before an instant."""
        over = (Session.ended_at < before) | (Session.expires_at < before)
        return changed(self._session, delete(Session).where(over).execution_options(synchronize_session=False))

    def _revoke(self, ids: Collection[UUID], at: datetime, tokens_live: timedelta) -> None:
        rows = [{"session_id": id_, "created_at": at, "expires_at": at + tokens_live} for id_ in ids]
        if rows:
            self._session.execute(insert(Revocation), rows)
