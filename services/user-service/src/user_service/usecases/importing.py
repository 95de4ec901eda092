"""Importing users from a CSV file as a stream: whatever its size, a piece of it is in memory.

Every row either becomes a user, is known already and left as it is, or goes to the rejects with its line and reason.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias
from uuid import UUID

from service_chassis.unit_of_work import Units
from user_service.messaging import publications
from user_service.model.import_row import Layout, Rejected, user_row
from user_service.model.passwords import form_of
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases.import_file import Record, Rejects, records

Row: TypeAlias = dict[str, Any]
"""The columns of a new user."""

ROWS_AT_ONCE = 500
PAUSE = 0.005
"""Seconds between batches, so that the service that runs on the same database gets its turn."""


@dataclass(slots=True)
class Tally:
    """How far an import is."""

    read: int = 0
    imported: int = 0
    existing: int = 0
    rejected: int = 0


def import_users(
    units: Units[UnitOfWork], file: Path, rejects: Path, *, progress: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """Import a file and write what was rejected to another; return the totals.

    Raises Rejected when the file as a whole is of no use.
    """
    tally = Tally()
    with Rejects(rejects) as rejected, _opened(file) as rest, Seen() as seen:
        layout = _layout(rest)
        rows = _rows(rest, layout, seen=seen, rejects=rejected, tally=tally, now=units.clock.now())
        for batch in _batches(rows):
            with units.write() as uow:
                imported, refused = _import(uow, [row for _, row in batch])
            for record, row in batch:
                if row["id"] in refused:
                    rejected.add(record, f"Somebody else has the username {row['username']!r}.", layout)
            tally.imported += imported
            tally.rejected += len(refused)
            tally.existing += len(batch) - imported - len(refused)
            progress(tally)
            time.sleep(PAUSE)
    return tally


def _import(uow: UnitOfWork, batch: list[Row]) -> tuple[int, set[UUID]]:
    """Insert who is new; return how many those are, and the rows whose username somebody else has."""
    existing = uow.users.existing_emails([row["email"] for row in batch])
    new = [row for row in batch if row["email"] not in existing]
    taken = uow.users.existing_usernames([row["username"] for row in new if row["username"] is not None])
    refused = {row["id"] for row in new if row["username"] in taken}
    numbers = uow.users.insert_all([row for row in new if row["id"] not in refused])
    uow.password_forms.add({form for row in new if (form := form_of(row["password_hash"] or "")) is not None})
    uow.publish_all(publications.user_imported(row, numbers[row["id"]]) for row in new if row["id"] in numbers)
    return len(numbers), refused


@contextmanager
def _opened(file: Path) -> Iterator[Iterator[Record]]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        yield records(stream)


def _rows(
    rest: Iterator[Record], layout: Layout, *, seen: "Seen", rejects: Rejects, tally: Tally, now: datetime
) -> Iterator[tuple[Record, Row]]:
    for record in rest:
        if record.is_blank:
            continue
        tally.read += 1
        try:
            row = user_row(layout.values(record.values()), now)
            seen.add(row, record.line)
        except Rejected as reason:
            tally.rejected += 1
            rejects.add(record, str(reason), layout)
            continue
        yield record, row


def _layout(file: Iterator[Record]) -> Layout:
    header = next(file, None)
    return Layout.of([] if header is None else header.values())


def _batches(rows: Iterator[tuple[Record, Row]]) -> Iterator[list[tuple[Record, Row]]]:
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        yield batch


class Seen:
    """The addresses and usernames of this file, kept in a temporary database so that a file of any size fits."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE seen (name TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._database.close()

    def add(self, row: Row, line: int) -> None:
        """Remember a row's address and username, which no address is. Raises Rejected if an earlier line has one."""
        names = {"e-mail address": row["email"]}
        if row["username"] is not None:
            names["username"] = row["username"]
        for kind, name in names.items():
            earlier = self._database.execute("SELECT line FROM seen WHERE name = ?", (name,)).fetchone()
            if earlier is not None:
                raise Rejected(f"Line {earlier[0]} has the same {kind}.")
        self._database.executemany("INSERT INTO seen VALUES (?, ?)", [(name, line) for name in names.values()])
