"""The two files of an import: the one that is read, record by record, and the one that takes what was rejected."""

import csv
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from user_service.model.import_row import Layout, Rejected

FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)
"""How text begins that spreadsheets take for a formula."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a CSV file: the line it begins at, its text, and its values or what keeps them from being read."""

    line: int
    text: str
    content: list[str] | csv.Error

    @property
    def is_blank(self) -> bool:
        return self.content == []

    def values(self) -> list[str]:
        """Return the values. Raises Rejected."""
        if isinstance(self.content, csv.Error):
            raise Rejected(f"It is no CSV: {self.content}.")
        return self.content

    def shown(self, layout: Layout) -> str:
        """Return the text without columns that may hold hashes; nothing, where it cannot be told which those are."""
        if layout.hides_nothing:
            return self.text
        if isinstance(self.content, csv.Error) or len(self.content) != layout.width:
            return ""
        row = io.StringIO()
        csv.writer(row, lineterminator="").writerow(
            value if place in layout.shown else "" for place, value in enumerate(self.content)
        )
        return row.getvalue()


def records(stream: Iterable[str]) -> Iterator[Record]:
    """Yield the records of a CSV file; one that cannot be read costs its first line and none of those after it."""
    lines = _Lines(stream)
    reader = csv.reader(lines, strict=True)
    while True:
        number = lines.begin()
        try:
            content: list[str] | csv.Error = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote that is never closed takes in line after line; what it took is read again without it.
            lines.give_back_all_but_the_first()
            content = error
        yield Record(number, lines.text, content)


class _Lines:
    """The lines of a file, of which those of the record in hand can be given back."""

    def __init__(self, stream: Iterable[str]) -> None:
        self._stream = iter(stream)
        self._given_back: deque[str] = deque()
        self._in_hand: list[str] = []
        self._done = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._given_back.popleft() if self._given_back else next(self._stream)
        self._in_hand.append(line)
        return line

    @property
    def text(self) -> str:
        """The record in hand without the end of its last line."""
        return "".join(self._in_hand).rstrip("\r\n")

    def begin(self) -> int:
        """Let go of the record in hand; return the number of the next line."""
        self._done += len(self._in_hand)
        self._in_hand.clear()
        return self._done + 1

    def give_back_all_but_the_first(self) -> None:
        self._given_back.extendleft(reversed(self._in_hand[1:]))
        del self._in_hand[1:]


class Rejects:
    """A CSV file of line, reason and the row without hashes; it exists only if something was rejected."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stream: Any = None

    def __enter__(self) -> Self:
        self._file.unlink(missing_ok=True)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._stream is not None:
            self._stream.close()

    def add(self, record: Record, reason: str, layout: Layout) -> None:
        if self._stream is None:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._stream = os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="")
            csv.writer(self._stream).writerow(["line", "reason", "row"])
        csv.writer(self._stream).writerow([record.line, _plain(reason), _plain(record.shown(layout))])


def _plain(text: str) -> str:
    """Return text that a spreadsheet shows instead of calculating it."""
    return f"'{text}" if text.startswith(FORMULA) else text
