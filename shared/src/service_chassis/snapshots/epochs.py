"""Epochs of an owner: a restored database counts versions anew, above everything that was said before.

A version has the epoch in its upper bits, so that whoever compares versions compares epochs first.
"""

from datetime import UTC, datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from service_chassis.messaging.tables import epochs

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)


def current(session: Session) -> int:
    """Return the present epoch; the first is 0."""
    return session.scalar(select(func.max(epochs.c.number))) or 0


def begin(session: Session, now: datetime) -> int:
    """Begin an epoch and return its number.

    The number is made of the time, because the database may have forgotten epochs that it had before it was restored.
    """
    number = max(current(session) + 1, int((now - FIRST_DAY).total_seconds()))
    session.execute(insert(epochs).values(number=number, begun_at=now))
    return number
