"""The two files of an import: the one that is read, record by record, and the one that takes what was rejected."""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from user_service.model.import_row import Rejected


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

    def add(self, record: Record, reason: str) -> None:
        if self._stream is None:
            self._stream = self._file.open("w", encoding="utf-8", errors="surrogateescape", newline="")
            csv.writer(self._stream).writerow(["line", "reason", "row"])
        csv.writer(self._stream).writerow([record.line, reason, record.text])
