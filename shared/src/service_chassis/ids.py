"""UUIDv7: ids that sort in the order one process made them (RFC 9562, section 5.7)."""

import os
import time
from collections.abc import Callable
from threading import Lock
from uuid import UUID


class Ids:
    """Makes ids of 48 bits of Unix milliseconds, 12 of their fraction (RFC 9562, 6.2, method 3) and 62 random ones.

    A clock that stands still or goes back does not repeat a time: the next free fraction is taken.
    """

    def __init__(self, nanoseconds: Callable[[], int] = time.time_ns) -> None:
        self._nanoseconds = nanoseconds
        self._lock = Lock()
        self._last = 0

    def make(self) -> UUID:
        milliseconds, fraction = divmod(self._tick(), 1 << 12)
        random = int.from_bytes(os.urandom(8), "big") >> 2
        return UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0x2 << 62 | random)

    def _tick(self) -> int:
        now = (self._nanoseconds() << 12) // 1_000_000
        with self._lock:
            self._last = max(now, self._last + 1)
            return self._last


_ids = Ids()


def uuid7() -> UUID:
    """Return a new id, greater than every one this process has made before."""
    return _ids.make()
