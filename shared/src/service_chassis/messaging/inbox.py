"""The inbox: what a consumer has taken in, remembered in the transaction of the effect."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from service_chassis.database.statements import changed, insert_new
from service_chassis.messaging.tables import inbox

DONE = "done"
SPLIT = "split"
"""Mark of a batch that failed as a whole and goes on event by event."""


def admit(session: Session, consumer: str, ids: Sequence[UUID], now: datetime, *, mark: str = DONE) -> set[UUID]:
    """Remember ids and return those that are new; the rest has been taken in before."""
    # Sorted, so that two consumers with the same duplicates cannot wait for each other in a circle.
    same = {"consumer": consumer, "mark": mark, "received_at": now}
    return set(insert_new(session, inbox, {"event_id": sorted(set(ids))}, inbox.c.event_id, same=same))


def split_batches(session: Session, consumer: str, ids: Iterable[UUID]) -> set[UUID]:
    """Return which of these ids are batches that were split."""
    chosen = (inbox.c.consumer == consumer) & inbox.c.event_id.in_(list(ids)) & (inbox.c.mark == SPLIT)
    return set(session.scalars(select(inbox.c.event_id).where(chosen)))


def forget(session: Session, before: datetime, limit: int = 5_000) -> int:
    """Delete entries older than an instant; return how many."""
    keys = (inbox.c.consumer, inbox.c.event_id)
    old = select(*keys).where(inbox.c.received_at < before).order_by(inbox.c.received_at).limit(limit)
    return changed(session, delete(inbox).where(tuple_(*keys).in_(old)))
