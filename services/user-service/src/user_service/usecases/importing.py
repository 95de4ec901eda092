"""Importing users from a CSV file as a stream: whatever its size, a piece of it is in memory.

Every row either becomes a user, is known already and left as it is, or goes to the rejects with its line and reason.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from service_chassis.unit_of_work import Units
from user_service.messaging import publications
from user_service.model.import_row import Layout, Rejected, user_row
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
    with Rejects(rejects) as rejected, Seen() as seen:
        for batch in _batches(_rows(file, units.clock.now(), seen, rejected, tally)):
            with units.write() as uow:
                imported = _import(uow, batch)
            tally.imported += imported
            tally.existing += len(batch) - imported
            progress(tally)
            time.sleep(PAUSE)
    return tally


def _import(uow: UnitOfWork, batch: list[Row]) -> int:
    existing = uow.users.existing_emails([row["email"] for row in batch])
    new = [row for row in batch if row["email"] not in existing]
    numbers = uow.users.insert_all(new)
    uow.publish_all(publications.user_imported(row, numbers[row["id"]]) for row in new if row["id"] in numbers)
    return len(numbers)


def _rows(file: Path, now: datetime, seen: "Seen", rejects: Rejects, tally: Tally) -> Iterator[Row]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        rest = records(stream)
        layout = _layout(rest)
        for record in rest:
            if record.is_blank:
                continue
            tally.read += 1
            try:
                row = user_row(layout.values(record.values()), now)
                seen.add(row["email"], record.line)
            except Rejected as reason:
                tally.rejected += 1
                rejects.add(record, str(reason))
                continue
            yield row


def _layout(file: Iterator[Record]) -> Layout:
    header = next(file, None)
    return Layout.of([] if header is None else header.values())


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        yield batch


class Seen:
    """The addresses of this file, kept in a temporary database so that a file of any size fits."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE seen (email TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._database.close()

    def add(self, email: str, line: int) -> None:
        """Remember an address. Raises Rejected when an earlier line has it."""
        added = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (email, line))
        if added.rowcount == 0:
            first = self._database.execute("SELECT line FROM seen WHERE email = ?", (email,)).fetchone()[0]
            raise Rejected(f"Line {first} has the same e-mail address.")
