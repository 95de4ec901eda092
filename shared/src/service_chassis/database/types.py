"""Column types that behave the same on PostgreSQL and SQLite. For UUIDs SQLAlchemy's own `Uuid` does."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)
LAST_INSTANT = datetime.max.replace(tzinfo=UTC)

Json = JSON().with_variant(JSONB(), "postgresql")

Version = BigInteger().with_variant(Integer(), "sqlite")
"""The version of an aggregate, with the epoch of its owner in the upper bits."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant in UTC; naive values are refused, because nobody knows what they mean."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        utc = in_utc(value)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # SQLAlchemy's signature
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def in_utc(value: datetime) -> datetime:
    """Return an instant in UTC; one beyond the ends of the calendar there becomes that end, so that order is kept.

    Raises ValueError for a value without a time zone.
    """
    try:
        return aware(value).astimezone(UTC)
    except OverflowError:
        return FIRST_INSTANT if value.year == FIRST_INSTANT.year else LAST_INSTANT


def aware(value: datetime) -> datetime:
    """Return an instant that has a time zone. Raises ValueError."""
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone.")
    return value
