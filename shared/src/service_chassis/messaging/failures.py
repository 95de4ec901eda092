"""Failed messages: rows in the consumer's own database, retried by the scheduler, and at last dead letters.

States: `retrying` (a next attempt is due some time) and `dead` (attempts used up, or no handler could ever read it).
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, delete, func, select, update
from sqlalchemy.orm import Session

from service_chassis import correlation
from service_chassis.database.statements import changed, upsert
from service_chassis.ids import uuid7
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import SINGLE
from service_chassis.messaging.incoming import Incoming
from service_chassis.messaging.tables import failed_messages

RETRYING = "retrying"
DEAD = "dead"
HANDLER_FAILED = "handler_failed"
ERROR_LIMIT = 2_000
LONGEST_ID = 255
"""Characters of a message id as AMQP knows them; PostgreSQL has no index entry for much longer ones."""
DUE_AT_ONCE = 100
BASE64 = ";base64"
"""End of the content type of a body that is kept in base64, because it is no text that every database takes."""


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
    counts: bool = True,
) -> None:
    """Note a failed attempt at one event; without `retry_in` it is dead at once."""
    event = incoming.events[0]
    content_type, body = _kept(SINGLE, incoming.bodies[0])
    _note(
        session,
        now,
        attempts=1 if counts else 0,
        consumer=consumer,
        message_id=str(event.id),
        type=event.type,
        subject=event.subject,
        exchange=incoming.exchange,
        content_type=content_type,
        body=body,
        correlation_id=event.correlation_id,
        state=DEAD if retry_in is None else RETRYING,
        reason=HANDLER_FAILED,
        error=_words(error),
        next_attempt_at=None if retry_in is None else now + retry_in,
    )


def park(session: Session, consumer: str, delivery: Delivery, *, reason: str, detail: str, now: datetime) -> None:
    """Set aside a message that no handler can take, with the reason."""
    content_type, body = _kept(delivery.content_type, delivery.body)
    _note(
        session,
        now,
        attempts=1,
        consumer=consumer,
        message_id=_message_id(session, consumer, delivery, body),
        type=delivery.routing_key,
        subject="",
        exchange=delivery.exchange,
        content_type=content_type,
        body=body,
        correlation_id=correlation.accepted(delivery.correlation_id) or "",
        state=DEAD,
        reason=reason,
        error=detail,
        next_attempt_at=None,
    )


def due(session: Session, consumer: str, now: datetime, limit: int) -> list[Row[Any]]:
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
    is_text = not row.content_type.endswith(BASE64)
    body = row.body.encode() if is_text else base64.b64decode(row.body)
    content_type = row.content_type.removesuffix(BASE64)
    return Delivery(0, row.message_id, row.exchange, row.type, content_type, body, correlation_id=row.correlation_id)


def failed_again(
    session: Session,
    row_id: UUID,
    error: BaseException,
    now: datetime,
    retry_in: timedelta | None,
    *,
    reason: str = HANDLER_FAILED,
    counts: bool = True,
) -> None:
    """Note one more failed attempt; without `retry_in` it was the last."""
    values = {
        "state": DEAD if retry_in is None else RETRYING,
        "attempts": failed_messages.c.attempts + (1 if counts else 0),
        "reason": reason,
        "error": _storable(_words(error))[:ERROR_LIMIT],
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
    return dict(rows.all())


def _note(session: Session, now: datetime, *, attempts: int, error: str, **values: Any) -> None:
    row = {key: _storable(value) if isinstance(value, str) else value for key, value in values.items()}
    row |= {"id": uuid7(), "attempts": attempts, "first_failed_at": now, "last_failed_at": now}
    row["error"] = _storable(error)[:ERROR_LIMIT]
    again = {
        "attempts": failed_messages.c.attempts + attempts,
        "error": row["error"],
        "reason": row["reason"],
        "last_failed_at": now,
    }
    key = [failed_messages.c.consumer, failed_messages.c.message_id]
    session.execute(upsert(session, failed_messages).values(row).on_conflict_do_update(index_elements=key, set_=again))


def _message_id(session: Session, consumer: str, delivery: Delivery, body: str) -> str:
    """Return the id to park a message under: the same for the same message, and another one for any other.

    Who sends what no handler can read may also send no id, or always the same.
    """
    digest = hashlib.sha256(delivery.body).hexdigest()[:16]
    if not 0 < len(delivery.message_id) <= LONGEST_ID:
        return digest
    row = failed_messages.c
    same_id = (row.consumer == consumer) & (row.message_id == _storable(delivery.message_id))
    known = session.scalar(select(row.body).where(same_id))
    return delivery.message_id if known in {None, body} else f"{delivery.message_id}#{digest}"


def storable_text(body: bytes) -> str | None:
    """Return a body as text, or None where it is none that every database takes."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _kept(content_type: str, body: bytes) -> tuple[str, str]:
    text = storable_text(body)
    if text is None:
        return content_type + BASE64, base64.b64encode(body).decode()
    return content_type, text


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _storable(text: str) -> str:
    """Return a text without what PostgreSQL or UTF-8 have no form for."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
