"""Epochs of an owner: a restored database counts versions anew, above everything that was said before.

A version has the epoch in its upper bits, so that whoever compares versions compares epochs first.
"""

from datetime import UTC, datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from service_chassis.messaging.tables import epochs
from service_chassis.messaging.versions import BITS, joined

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)


def current(session: Session) -> int:
    """Return the present epoch; the first is 0."""
    return session.scalar(select(func.max(epochs.c.number))) or 0


def first_version(session: Session) -> int:
    """Return the version of what comes into being now: an id may have been told of before the restoration."""
    return joined(current(session), 1)


def move(session: Session, version: InstrumentedAttribute[int], epoch: int) -> None:
    """Lift the versions of all rows of a table into an epoch."""
    lifted = joined(epoch, 0) + version % (1 << BITS)
    session.execute(update(version.class_).values({version: lifted}).execution_options(synchronize_session=False))


def begin(session: Session, now: datetime) -> int:
    """Begin an epoch and return its number.

    The number is made of the time, because the database may have forgotten epochs that it had before it was restored.
    """
    number = max(current(session) + 1, int((now - FIRST_DAY).total_seconds()))
    session.execute(insert(epochs).values(number=number, begun_at=now))
    return number
