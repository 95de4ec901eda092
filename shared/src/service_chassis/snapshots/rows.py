"""Rows of states by their ids, in the owner's table or in that of a projection: counted, cut up and added up."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Uuid, cast, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service_chassis.database.digests import row_digest
from service_chassis.database.paging import InvalidCursor
from service_chassis.snapshots.exchanged import FROM_THE_START, Part, Range


@dataclass(frozen=True, slots=True)
class Rows:
    """Where states are kept. `counted` is the condition that a row is one of them."""

    id: InstrumentedAttribute[Any]
    version: InstrumentedAttribute[int]
    counted: ColumnElement[bool] | None = field(default=None)

    def within(self, asked: Range) -> list[ColumnElement[bool]]:
        """Return the conditions that a row is in a range. Raises InvalidCursor."""
        conditions = [] if self.counted is None else [self.counted]
        if asked.after:
            conditions.append(self.id > self.parsed(asked.after))
        if asked.to is not None:
            conditions.append(self.id <= self.parsed(asked.to))
        return conditions

    def parsed(self, id_: str) -> Any:
        """Return an id as the table has it. Raises InvalidCursor."""
        try:
            return UUID(id_) if isinstance(self.id.type, Uuid) else int(id_)
        except ValueError as error:
            raise InvalidCursor from error

    def position(self, cursor: str) -> Any:
        """Return what puts cursors in the order of their ids."""
        return (0, 0) if cursor == FROM_THE_START else (1, self.parsed(cursor))

    def count(self, session: Session, asked: Range) -> int:
        return session.scalar(select(func.count()).select_from(self.id.class_).where(*self.within(asked))) or 0

    def part(self, session: Session, asked: Range) -> Part:
        """Return what a range comes to."""
        digests = func.coalesce(func.sum(row_digest(self.id, self.version)), 0)
        count, digest = session.execute(select(func.count(), digests).where(*self.within(asked))).one()
        return Part(asked, count, int(digest))

    def cut(self, session: Session, asked: Range, parts: int) -> Iterator[Range]:
        """Cut a range into at most about so many pieces with as many rows each."""
        rows = self.count(session, asked) if parts > 1 else 0
        after = asked.after
        for end in self._ends(session, asked, max(1, -(-rows // parts))) if rows else ():
            yield Range(after, str(end))
            after = str(end)
        yield Range(after, asked.to)

    def versions(self, session: Session, asked: Range) -> dict[str, int]:
        """Return the versions of the rows in a range by their ids."""
        rows = session.execute(select(self.id, self.version).where(*self.within(asked)))
        return {str(id_): version for id_, version in rows}

    def _ends(self, session: Session, asked: Range, each: int) -> Iterator[Any]:
        numbered = (
            select(self.id.label("id"), func.row_number().over(order_by=self.id).label("number"))
            .where(*self.within(asked))
            .subquery()
        )
        every = cast(numbered.c.number, Integer) % literal(each) == 0
        yield from session.scalars(select(numbered.c.id).where(every).order_by(numbered.c.id)).all()
