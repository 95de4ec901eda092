"""What an owner hands out: its states as of now, page by page, and what ranges of them come to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service_chassis.messaging.envelope import Outgoing, enveloped
from service_chassis.snapshots import epochs
from service_chassis.snapshots.exchanged import Digests, Range
from service_chassis.snapshots.rows import Rows
from service_chassis.unit_of_work import UnitOfWork

PAGE = 2_000
"""States in a page: applied in one transaction, and some 150 KB on the wire."""


@dataclass(frozen=True, slots=True)
class Source:
    """The states of one kind that this service owns; `tell` makes a row the event that says all of it."""

    name: str
    rows: Rows
    columns: Sequence[InstrumentedAttribute[Any]]
    tell: Callable[[Row[Any]], Outgoing]

    def page(self, uow: UnitOfWork, asked: Range) -> bytes:
        """Return a `Page` in JSON. Raises InvalidCursor."""
        session, id_ = uow.session, self.rows.id
        query = select(id_.label("cursor"), *self.columns).where(*self.rows.within(asked)).order_by(id_).limit(PAGE)
        rows = session.execute(query).all()
        return msgspec.json.encode(
            {
                "events": [enveloped(self.tell(row), uow.now) for row in rows],
                "next": str(rows[-1].cursor) if len(rows) == PAGE else None,
                "total": None if asked.after else self._total(session),
            }
        )

    def digests(self, uow: UnitOfWork, ranges: Sequence[Range], parts: int) -> Digests:
        """Return what each range comes to, cut into parts. Raises InvalidCursor."""
        session, rows = uow.session, self.rows
        pieces = [piece for asked in ranges for piece in rows.cut(session, asked, parts)]
        return Digests([rows.part(session, piece) for piece in pieces], epochs.current(session))

    def _total(self, session: Session) -> int:
        return self.rows.count(session, Range())
