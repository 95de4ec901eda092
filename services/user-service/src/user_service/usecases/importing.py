"""Importing users from a CSV file as a stream: whatever its size, a piece of it is in memory.

Every row either becomes a user, is known already and left as it is, or goes to the rejects with its line and reason.
"""

import csv
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from service_chassis.unit_of_work import Units
from user_service.messaging import publications
from user_service.model.import_row import Layout, Rejected, user_row
from user_service.persistence.unit_of_work import UnitOfWork

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


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    values: dict[str, Any]


def import_users(
    units: Units[UnitOfWork], file: Path, rejects: Path, *, progress: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """Import a file and write what was rejected to another; return the totals.

    Raises Rejected when the file as a whole is of no use.
    """
    tally = Tally()
    with Rejects(rejects) as rejected, Seen() as seen:
        for batch in _batches(_lines(file, units.clock.now(), seen, rejected, tally)):
            with units.write() as uow:
                imported = _import(uow, batch)
            tally.imported += imported
            tally.existing += len(batch) - imported
            progress(tally)
            time.sleep(PAUSE)
    return tally


def _import(uow: UnitOfWork, batch: list[Line]) -> int:
    existing = uow.users.existing_emails([line.values["email"] for line in batch])
    new = [line.values for line in batch if line.values["email"] not in existing]
    numbers = uow.users.insert_all(new)
    uow.publish_all(publications.user_imported(row, numbers[row["id"]]) for row in new)
    return len(new)


def _lines(file: Path, now: datetime, seen: "Seen", rejects: "Rejects", tally: Tally) -> Iterator[Line]:
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        rows = _rows(stream)
        _, header = next(rows, (1, []))
        layout = Layout.of(header if isinstance(header, list) else [])
        for number, row in rows:
            if row == []:
                continue
            tally.read += 1
            try:
                values = user_row(layout.values(_readable(row)), now)
                seen.add(values["email"], number)
            except Rejected as reason:
                tally.rejected += 1
                rejects.add(number, str(reason), row if isinstance(row, list) else [])
                continue
            yield Line(number, values)


def _rows(stream: Any) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yield each row with the number of its first line; what the reader cannot read comes as its error."""
    reader = csv.reader(stream, strict=True)
    while True:
        first_line = reader.line_num + 1
        try:
            yield first_line, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield first_line, error


def _readable(row: list[str] | csv.Error) -> list[str]:
    if isinstance(row, csv.Error):
        raise Rejected(f"It is no CSV: {row}.")
    return row


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


class Rejects:
    """A CSV file of line, reason and the row itself; it exists only if something was rejected."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stream: Any = None

    def __enter__(self) -> Self:
        self._file.unlink(missing_ok=True)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._stream is not None:
            self._stream.close()

    def add(self, number: int, reason: str, row: list[str]) -> None:
        if self._stream is None:
            self._stream = self._file.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            csv.writer(self._stream).writerow(["line", "reason", "row"])
        csv.writer(self._stream).writerow([number, reason, ",".join(row)])


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
