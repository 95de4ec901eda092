"""Failed messages: rows in the consumer's own database, retried by the scheduler, and at last dead letters.

States: `retrying` (a next attempt is due some time) and `dead` (attempts used up, or no handler could ever read it).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, delete, func, select, update
from sqlalchemy.orm import Session

from service_chassis.database.statements import changed, upsert
from service_chassis.ids import uuid7
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import SINGLE
from service_chassis.messaging.incoming import Incoming
from service_chassis.messaging.tables import failed_messages

RETRYING = "retrying"
DEAD = "dead"
ERROR_LIMIT = 2_000
BYTES = "application/octet-stream;base64"
"""Content type under which a body that is no text is kept."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters are meant; what is None does not restrict."""

    ids: Sequence[UUID] | None = None
    type: str | None = None
    reason: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def condition(self, state: str = DEAD) -> ColumnElement[bool]:
        row = failed_messages.c
        condition: ColumnElement[bool] = row.state == state
        if self.ids is not None:
            condition &= row.id.in_(list(self.ids))
        for column, value in ((row.type, self.type), (row.reason, self.reason), (row.subject, self.subject)):
            if value is not None:
                condition &= column == value
        if self.since is not None:
            condition &= row.last_failed_at >= self.since
        if self.until is not None:
            condition &= row.last_failed_at < self.until
        return condition


def record(
    session: Session,
    consumer: str,
    incoming: Incoming,
    *,
    error: BaseException,
    now: datetime,
    retry_in: timedelta | None,
) -> None:
    """Note a failed attempt at one event; without `retry_in` it is dead at once."""
    event = incoming.events[0]
    _note(
        session,
        now,
        consumer=consumer,
        message_id=str(event.id),
        type=event.type,
        subject=event.subject,
        exchange=incoming.exchange,
        content_type=SINGLE,
        body=incoming.bodies[0].decode(),
        correlation_id=event.correlation_id,
        state=DEAD if retry_in is None else RETRYING,
        reason="handler_failed",
        error=_text(error),
        next_attempt_at=None if retry_in is None else now + retry_in,
    )


def park(session: Session, consumer: str, delivery: Delivery, *, reason: str, detail: str, now: datetime) -> None:
    """Set aside a message that no handler can take, with the reason."""
    content_type, body = _kept(delivery)
    _note(
        session,
        now,
        consumer=consumer,
        message_id=delivery.message_id or str(uuid7()),
        type=delivery.routing_key,
        subject="",
        exchange=delivery.exchange,
        content_type=content_type,
        body=body,
        correlation_id="",
        state=DEAD,
        reason=reason,
        error=detail[:ERROR_LIMIT],
        next_attempt_at=None,
    )


def due(session: Session, consumer: str, now: datetime, limit: int = 100) -> list[Row[Any]]:
    """Return rows whose next attempt is due, oldest first."""
    row = failed_messages.c
    statement = (
        select(failed_messages)
        .where(row.consumer == consumer, row.state == RETRYING, row.next_attempt_at <= now)
        .order_by(row.next_attempt_at)
        .limit(limit)
    )
    return list(session.execute(statement))


def delivery_of(row: Row[Any]) -> Delivery:
    """Return a row as the delivery it once was."""
    body = base64.b64decode(row.body) if row.content_type == BYTES else row.body.encode()
    return Delivery(0, row.message_id, row.exchange, row.type, row.content_type, body)


def failed_again(
    session: Session,
    row_id: UUID,
    error: BaseException,
    now: datetime,
    retry_in: timedelta | None,
    *,
    counts: bool = True,
) -> None:
    values = {
        "state": DEAD if retry_in is None else RETRYING,
        "attempts": failed_messages.c.attempts + (1 if counts else 0),
        "error": _text(error),
        "last_failed_at": now,
        "next_attempt_at": None if retry_in is None else now + retry_in,
    }
    session.execute(update(failed_messages).where(failed_messages.c.id == row_id).values(values))


def settle(session: Session, row_id: UUID) -> None:
    """Forget a message that succeeded after all."""
    session.execute(delete(failed_messages).where(failed_messages.c.id == row_id))


def listed(session: Session, chosen: Filter, limit: int = 100, state: str = DEAD) -> list[Row[Any]]:
    """Return dead letters, newest first."""
    order = (failed_messages.c.last_failed_at.desc(), failed_messages.c.id.desc())
    return list(session.execute(select(failed_messages).where(chosen.condition(state)).order_by(*order).limit(limit)))


def count(session: Session, chosen: Filter, state: str = DEAD) -> int:
    return session.scalar(select(func.count()).select_from(failed_messages).where(chosen.condition(state))) or 0


def redrive(session: Session, chosen: Filter, now: datetime) -> int:
    """Give dead letters a fresh set of attempts, the first one now; return how many."""
    values = {"state": RETRYING, "attempts": 0, "next_attempt_at": now}
    return changed(session, update(failed_messages).where(chosen.condition()).values(values))


def drop(session: Session, chosen: Filter) -> int:
    """Delete dead letters for good; return how many."""
    return changed(session, delete(failed_messages).where(chosen.condition()))


def totals(session: Session) -> dict[str, int]:
    """Return how many rows there are by state."""
    rows = session.execute(select(failed_messages.c.state, func.count()).group_by(failed_messages.c.state))
    return dict(rows.tuples())


def _note(session: Session, now: datetime, **values: Any) -> None:
    row = {**values, "id": uuid7(), "attempts": 1, "first_failed_at": now, "last_failed_at": now}
    again = {
        "attempts": failed_messages.c.attempts + 1,
        "error": row["error"],
        "reason": row["reason"],
        "last_failed_at": now,
    }
    key = [failed_messages.c.consumer, failed_messages.c.message_id]
    session.execute(upsert(session, failed_messages).values(row).on_conflict_do_update(index_elements=key, set_=again))


def _kept(delivery: Delivery) -> tuple[str, str]:
    try:
        return delivery.content_type, delivery.body.decode()
    except UnicodeDecodeError:
        return BYTES, base64.b64encode(delivery.body).decode()


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:ERROR_LIMIT]
