"""The outbox: messages that commit with the change they tell of, and what the relay asks about them.

A row is `pending` until the broker confirmed it (`published`). A row the broker refuses is `delayed`, one that no
queue is bound for is `unroutable`; both leave the hot index and come back when they are due, so that neither holds
up the others.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, insert, literal_column, select, update
from sqlalchemy.orm import Session

from service_chassis.database.statements import among, changed
from service_chassis.messaging.broker import Message
from service_chassis.messaging.envelope import NewMessage
from service_chassis.messaging.tables import outbox

UNROUTABLE_RETRY = timedelta(minutes=1)
LONGEST_DELAY = timedelta(minutes=10)
EVENTS_AT_ONCE = 5_000
"""The most events read into memory at a time, because a single row may hold a batch of hundreds."""

# Literals, because a planner that sees parameters cannot tell that a partial index answers the question.
PENDING = outbox.c.state == literal_column("'pending'")
UNROUTABLE = outbox.c.state == literal_column("'unroutable'")
PUBLISHED = outbox.c.state == literal_column("'published'")
WAITING = outbox.c.state.in_((literal_column("'delayed'"), literal_column("'unroutable'")))


APPEND = insert(outbox)


def _oldest() -> Select[Any]:
    pending = (
        select(outbox, func.sum(outbox.c.events).over(order_by=outbox.c.seq).label("running"))
        .where(PENDING)
        .order_by(outbox.c.seq)
        .limit(bindparam("limit"))
        .subquery()
    )
    few_enough = (pending.c.running <= EVENTS_AT_ONCE) | (pending.c.running == pending.c.events)
    return select(pending).where(few_enough).order_by(pending.c.seq)


OLDEST = _oldest()
"""Made once, because it is asked each second while nothing happens."""


def append(session: Session, messages: Sequence[NewMessage], now: datetime) -> None:
    """Write messages in the order they were published in."""
    if not messages:
        return
    rows = [
        {
            "message_id": message.id,
            "exchange": message.exchange,
            "routing_key": message.routing_key,
            "content_type": message.content_type,
            "source": message.source,
            "body": message.body,
            "events": message.events,
            "correlation_id": message.correlation_id,
            "created_at": now,
        }
        for message in messages
    ]
    # A list is sent in a pipeline, which takes another round trip.
    session.execute(APPEND, rows if len(rows) > 1 else rows[0])


def pending(session: Session, limit: int) -> list[tuple[int, Message]]:
    """Return the oldest unpublished messages with their sequence numbers.

    It asks for what is unpublished, never for what came after the last one seen: numbers are given at the insert but
    seen at the commit, so that a later number may be visible first.
    """
    rows = session.execute(OLDEST, {"limit": limit})
    return [(row.seq, _message(row)) for row in rows]


def mark_published(session: Session, numbers: Sequence[int], now: datetime) -> None:
    chosen = among(session, outbox.c.seq, numbers)
    session.execute(update(outbox).where(chosen).values(state="published", published_at=now))


def mark_unroutable(session: Session, numbers: Sequence[int], now: datetime) -> None:
    """Set rows aside; each is tried again soon at first, because a queue may be on its way, and then each minute."""
    _set_aside(session, numbers, now, UNROUTABLE_RETRY, state="unroutable", last_error="No queue is bound for it.")


def mark_refused(session: Session, numbers: Sequence[int], now: datetime) -> None:
    """Let rows wait, longer each time, while the others go on."""
    _set_aside(session, numbers, now, LONGEST_DELAY, state="delayed", last_error="The broker refused it.")


def next_due(session: Session) -> datetime | None:
    """Return when the first of the rows that were set aside is to come back; None when there is none."""
    first: datetime | None = session.scalar(select(func.min(outbox.c.next_attempt_at)).where(WAITING))
    return first


def release_due(session: Session, now: datetime, limit: int = EVENTS_AT_ONCE) -> int:
    """Make rows pending again whose time has come, a bounded piece at a time; return how many."""
    due = select(outbox.c.seq).where(_due(now)).limit(limit)
    change = update(outbox).where(outbox.c.seq.in_(due)).values(state="pending", next_attempt_at=None)
    return changed(session, change)


def release_unroutable(session: Session) -> int:
    """Make every unroutable row pending again, because the topology changed; return how many."""
    change = update(outbox).where(WAITING & UNROUTABLE).values(state="pending", next_attempt_at=None)
    return changed(session, change)


def replay(session: Session, since: datetime, *, types: Sequence[str] = (), dry_run: bool = False) -> int:
    """Publish again what was published since an instant; consumers that had it pass it over. Return how many rows."""
    chosen = PUBLISHED & (outbox.c.published_at >= since)
    if types:
        chosen &= outbox.c.routing_key.in_(types)
    if dry_run:
        return session.scalar(select(func.count()).select_from(outbox).where(chosen)) or 0
    return changed(session, update(outbox).where(chosen).values(state="pending", published_at=None))


def forget_published(session: Session, before: datetime, limit: int = 5_000) -> int:
    """Delete published rows older than an instant, oldest first; return how many."""
    old = (
        select(outbox.c.seq)
        .where(PUBLISHED, outbox.c.published_at < before)
        .order_by(outbox.c.published_at)
        .limit(limit)
    )
    return changed(session, delete(outbox).where(outbox.c.seq.in_(old)))


def forget_unroutable(session: Session, before: datetime, limit: int = 5_000) -> int:
    """Delete rows for which no queue was bound from before an instant on; return how many."""
    old = select(outbox.c.seq).where(WAITING & UNROUTABLE, outbox.c.created_at < before).limit(limit)
    return changed(session, delete(outbox).where(outbox.c.seq.in_(old)))


def backlog(session: Session) -> dict[str, int]:
    """Return how many rows are not published yet, by state."""
    counts: dict[str, int] = {}
    for condition in (PENDING, WAITING):
        rows = session.execute(select(outbox.c.state, func.count()).where(condition).group_by(outbox.c.state))
        counts |= dict(rows.all())
    return counts


def oldest_pending(session: Session) -> datetime | None:
    """Return when the oldest pending row was written."""
    return session.scalar(select(outbox.c.created_at).where(PENDING).order_by(outbox.c.seq).limit(1))


def _message(row: Row[Any]) -> Message:
    return Message(
        message_id=str(row.message_id),
        exchange=row.exchange,
        routing_key=row.routing_key,
        content_type=row.content_type,
        body=row.body.encode(),
        events=row.events,
        correlation_id=row.correlation_id,
        source=row.source,
        timestamp=int(row.created_at.timestamp()),
    )


def _due(now: datetime) -> ColumnElement[bool]:
    return WAITING & (outbox.c.next_attempt_at <= now)


def _set_aside(session: Session, numbers: Sequence[int], now: datetime, longest: timedelta, **values: str) -> None:
    chosen = among(session, outbox.c.seq, numbers)
    for attempts in session.scalars(select(outbox.c.attempts).where(chosen).distinct()).all():
        delay = min(timedelta(seconds=2 ** min(attempts, 30)), longest)
        change = update(outbox).where(chosen, outbox.c.attempts == attempts)
        session.execute(change.values(**values, attempts=attempts + 1, next_attempt_at=now + delay))
