"""Sessions and the feed of those that were ended."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session as DatabaseSession

from service_chassis.database.paging import Page, Paging, descending, fetch_page
from service_chassis.database.statements import among, changed, delete_some
from service_chassis.tokens import LONGEST_LEEWAY
from user_service.model.secret import digest_of
from user_service.model.session import Revocation, Session

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
REVOCATIONS = (
    select(Revocation.session_id, Revocation.expires_at)
    .where(
        Revocation.expires_at > bindparam("now"),
        Revocation.created_at >= bindparam("since"),
    )
    .order_by(Revocation.number)
)
"""Made once, because every verifier asks it each second."""
HAS_ENDED = select(Session.ended_at).where(Session.id == bindparam("session_id"))


class SessionRepository:
    def __init__(self, session: DatabaseSession) -> None:
        self._session = session

    def add(self, session: Session) -> Session:
        self._session.add(session)
        return session

    def get(self, session_id: UUID) -> Session | None:
        """Return a session as it stands now, also when this transaction has seen it before."""
        return self._session.get(Session, session_id, populate_existing=True)

    def has_ended(self, session_id: UUID) -> bool:
        """Return whether a session was ended; one that is not kept any more has outlived its tokens."""
        return self._session.scalar(HAS_ENDED, {"session_id": session_id}) is not None

    def page(self, user_id: UUID, paging: Paging, *, at: datetime) -> Page[Session]:
        """Return a piece of the list of a user's live sessions, newest first. Raises InvalidCursor."""
        live = Session.ended_at.is_(None) & (Session.expires_at > at)
        theirs = select(Session).where(Session.user_id == user_id, live)
        return fetch_page(self._session, theirs, descending(Session.created_at, Session.id), paging)

    def by_token(self, token: str) -> Session | None:
        """Return the session an opaque token stands for."""
        return self._session.scalar(select(Session).where(Session.token_hash == digest_of(token)))

    def step(self, session_id: UUID, counter: int, *, at: datetime, expires_at: datetime) -> bool:
        """Use a refresh token: raise the counter if it still is the token's; of many callers one succeeds."""
        usable = (Session.id == session_id) & (Session.counter == counter)
        live = Session.ended_at.is_(None) & (Session.expires_at > at)
        changes = {"counter": counter + 1, "rotated_at": at, "expires_at": expires_at}
        statement = update(Session).where(usable & live).values(changes)
        return changed(self._session, statement.execution_options(synchronize_session=False)) == 1

    def touch(self, session_id: UUID, *, at: datetime) -> bool:
        """Note that a token of a session was handed out; False when the session has ended."""
        live = (Session.id == session_id) & Session.ended_at.is_(None)
        statement = update(Session).where(live).values(rotated_at=at)
        return changed(self._session, statement.execution_options(synchronize_session=False)) == 1

    def end_all(
        self,
        user_ids: Collection[UUID],
        *,
        reason: str,
        at: datetime,
        tokens_live: timedelta,
        but: UUID | None = None,
    ) -> int:
        """End every live session of these users, except one, and tell the verifiers; return how many."""
        live = among(self._session, Session.user_id, user_ids) & Session.ended_at.is_(None)
        if but is not None:
            live &= Session.id != but
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

    def revocations(self, since: datetime | None, now: datetime) -> list[tuple[UUID, datetime]]:
        """Return sessions that were ended since an instant, and until when their tokens live, if they still do."""
        values = {"since": since or BEGINNING, "now": now}
        return [(row.session_id, row.expires_at) for row in self._session.execute(REVOCATIONS, values)]

    def kept_of(self, user_id: UUID) -> list[Session]:
        """Return the sessions of a user, also those that are over and not forgotten yet."""
        return list(self._session.scalars(select(Session).where(Session.user_id == user_id).order_by(Session.id)))

    def forget_origins(self, user_id: UUID) -> None:
        """Erase from where and with what a user signed in."""
        erased = update(Session).where(Session.user_id == user_id).values(address=None, user_agent=None)
        self._session.execute(erased.execution_options(synchronize_session=False))

    def forget_revocations(self, now: datetime) -> bool:
        return delete_some(self._session, Revocation.number, Revocation.expires_at <= now)

    def forget_ended(self, before: datetime) -> bool:
        """Delete sessions that ended or expired before an instant."""
        over = (Session.ended_at < before) | (Session.expires_at < before)
        return delete_some(self._session, Session.id, over)

    def _revoke(self, ids: Collection[UUID], at: datetime, tokens_live: timedelta) -> None:
        rows = [{"session_id": id_, "created_at": at, "expires_at": at + tokens_live} for id_ in ids]
        if rows:
            self._session.execute(insert(Revocation), rows)
