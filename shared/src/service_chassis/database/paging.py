"""Lists in pieces: by page number, or after a cursor, which costs the same however far one has come."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, Select, TypeDecorator, func, literal, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from service_chassis.errors import Invalid

DEFAULT_LIMIT = 20
LARGEST_LIMIT = 100
LARGEST_NUMBER = 2**63 - 1
FIRST = ""
"""The cursor before the first row."""

T = TypeVar("T")
V = TypeVar("V")
SortColumn = ColumnElement[Any] | InstrumentedAttribute[Any]

# A cursor comes from outside; whatever passes here is a value the database takes.
_CURSOR_VALUES: Mapping[type, Any] = {
    datetime: Annotated[datetime, msgspec.Meta(tz=True)],
    int: Annotated[int, msgspec.Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)],
    str: Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")],
    UUID: UUID,
}


class InvalidCursor(Invalid):
    """This cursor was not given out by this list."""

    code = "invalid_cursor"


@dataclass(frozen=True, slots=True)
class Paging:
    """Which piece of a list is wanted: a page by its number, or, where there is a cursor, what comes after it."""

    limit: int = DEFAULT_LIMIT
    page: int = 1
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A piece of a list, the size of the whole list, and the cursor to go on with where one was asked for."""

    items: Sequence[T]
    total: int
    paging: Paging
    next_cursor: str | None = None

    @classmethod
    def whole(cls, items: Sequence[T]) -> "Page[T]":
        """Return a list that is short by its nature as the only page it has."""
        return cls(items, len(items), Paging(limit=max(len(items), DEFAULT_LIMIT)))

    def each(self, show: Callable[[T], V]) -> "Page[V]":
        """Return the same piece with something else made of each item."""
        return Page([show(item) for item in self.items], self.total, self.paging, self.next_cursor)

    @property
    def total_pages(self) -> int:
        return -(-self.total // self.paging.limit)

    @property
    def has_next(self) -> bool:
        return self.paging.page < self.total_pages if self.paging.cursor is None else self.next_cursor is not None

    @property
    def has_previous(self) -> bool:
        return self.paging.page > 1 if self.paging.cursor is None else self.paging.cursor != FIRST

    def meta(self) -> dict[str, Any]:
        """Return what an answer says about the piece."""
        by_number = self.paging.cursor is None
        meta = {
            "total": self.total,
            "limit": self.paging.limit,
            "page": self.paging.page if by_number else None,
            "total_pages": self.total_pages,
            "has_next": self.has_next,
            "has_previous": self.has_previous,
        }
        return meta if by_number else {**meta, "next_cursor": self.next_cursor}


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list: columns that are never null, the last of them unique, all in one direction."""

    columns: tuple[SortColumn, ...]
    descending: bool

    def apply(self, statement: Select[Any]) -> Select[Any]:
        return statement.order_by(*[c.desc() if self.descending else c.asc() for c in self.columns])

    def after(self, position: Sequence[Any]) -> ColumnElement[bool]:
        """Return the condition of the rows that come after a position, which an index on the columns answers."""
        here = tuple_(*self.columns)
        there = tuple_(*[literal(value, c.type) for value, c in zip(position, self.columns, strict=True)])
        return here < there if self.descending else here > there


def ascending(*columns: SortColumn) -> Order:
    return Order(columns, descending=False)


def descending(*columns: SortColumn) -> Order:
    return Order(columns, descending=True)


def fetch_page(
    session: Session,
    statement: Select[*tuple[Any, ...]],
    order: Order,
    paging: Paging,
    *,
    count_up_to: int | None = None,
) -> Page[Any]:
    """Return a piece of what a select yields: entities if it selects one entity, else rows. Raises InvalidCursor.

    Counting is what a long list costs most, so it may end at a number, which is then the total of every longer list.
    """
    total = _total(session, statement.limit(count_up_to))
    if paging.cursor is None:
        return _by_number(session, statement, order, paging, total)
    return _by_cursor(session, statement, order, paging, total)


def _by_number(session: Session, statement: Select[Any], order: Order, paging: Paging, total: int) -> Page[Any]:
    offset = min((paging.page - 1) * paging.limit, LARGEST_NUMBER)
    rows = session.execute(order.apply(statement).limit(paging.limit).offset(offset)).all()
    return Page([_item(row, len(row)) for row in rows], total, paging)


def _by_cursor(session: Session, statement: Select[Any], order: Order, paging: Paging, total: int) -> Page[Any]:
    cursor = paging.cursor or FIRST
    positioned = statement.add_columns(*[c.label(f"_position_{n}") for n, c in enumerate(order.columns)])
    if cursor != FIRST:
        positioned = positioned.where(order.after(_decoded(cursor, order)))
    rows = session.execute(order.apply(positioned).limit(paging.limit + 1)).all()
    more, rows = len(rows) > paging.limit, rows[: paging.limit]
    width = len(order.columns)
    items = [_item(row, len(row) - width) for row in rows]
    return Page(items, total, paging, _encoded(rows[-1][-width:]) if more else None)


def _total(session: Session, statement: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0


def _item(row: Row[Any], width: int) -> Any:
    return row[0] if width == 1 else row


def _encoded(position: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(tuple(position))).rstrip(b"=").decode()


def _decoded(cursor: str, order: Order) -> list[Any]:
    try:
        values = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[Any])
        position = [msgspec.convert(v, _python_type(c)) for v, c in zip(values, order.columns, strict=True)]
        return [value.astimezone(UTC) if isinstance(value, datetime) else value for value in position]
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidCursor from error


def _python_type(column: SortColumn) -> Any:
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return _CURSOR_VALUES[kind.python_type]
