"""Whether a SQLite file was written to, by this process or another: two words of the file system instead of a query."""

import time
from pathlib import Path

LONGEST = 10.0
"""Seconds after which a file counts as changed in any case, for clocks of file systems are coarse."""


class Changes:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._log = file.with_name(f"{file.name}-wal")
        self._stamp: tuple[int, int] | None = None
        self._look_at = 0.0

    def any(self) -> bool:
        """Say whether there may have been one since this was asked last."""
        stamp, now = self._read(), time.monotonic()
        if stamp == self._stamp and stamp is not None and now < self._look_at:
            return False
        self._stamp, self._look_at = stamp, now + LONGEST
        return True

    def _read(self) -> tuple[int, int] | None:
        try:
            state = self._log.stat()
        except OSError:
            # Without a log the file is at rest, or away.
            return None
        return state.st_mtime_ns, state.st_size
