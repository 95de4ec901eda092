"""How far snapshots are, in the database of whoever takes them over: without a row one is due."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service_chassis.database.statements import changed, upsert
from service_chassis.messaging.tables import projections
from service_chassis.snapshots.exchanged import FROM_THE_START, Page


@dataclass(frozen=True, slots=True)
class Progress:
    name: str
    cursor: str = FROM_THE_START
    done: int = 0
    total: int | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        return self.finished_at is not None

    @property
    def percent(self) -> int:
        return min(100, 100 * self.done // self.total) if self.total else 0


def of(session: Session, name: str) -> Progress:
    row = session.execute(select(projections).where(projections.c.name == name)).mappings().one_or_none()
    return Progress(name) if row is None else Progress(**row)


def unfinished(session: Session, names: Collection[str]) -> list[Progress]:
    """Return the snapshots that are due or under way."""
    return [progress for name in names if not (progress := of(session, name)).finished]


def begin(session: Session, name: str, now: datetime) -> None:
    """Begin a snapshot unless there is one."""
    row = {"name": name, "cursor": FROM_THE_START, "done": 0, "started_at": now}
    session.execute(upsert(session, projections).values(row).on_conflict_do_nothing())


def begin_again(session: Session, names: Collection[str] | None = None) -> None:
    """Let snapshots be due again, all of them unless some are named; what has been taken over stays."""
    chosen = [] if names is None else [projections.c.name.in_(names)]
    session.execute(delete(projections).where(*chosen))


def advance(session: Session, seen: Progress, page: Page, now: datetime) -> bool:
    """Note that a page was taken over; False when the snapshot is no longer where it was seen."""
    where = (
        (projections.c.name == seen.name)
        & (projections.c.started_at == seen.started_at)
        & (projections.c.cursor == seen.cursor)
        & projections.c.finished_at.is_(None)
    )
    values = {
        "cursor": seen.cursor if page.next is None else page.next,
        "done": seen.done + len(page.events),
        "total": seen.total if page.total is None else page.total,
        "finished_at": now if page.next is None else None,
    }
    return changed(session, update(projections).where(where).values(values)) == 1
