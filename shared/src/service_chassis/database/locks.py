"""Locks with one holder among all processes: a PostgreSQL advisory lock, or an OS lock on a file for SQLite.

Both die with their holder: PostgreSQL ends the lock with the connection, the system with the process.
"""

import hashlib
import sys
from pathlib import Path
from typing import IO, Protocol

import psycopg

KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
    "connect_timeout": 3,
}
"""How we notice within seconds that the server's machine is gone, also while an answer is awaited."""

SERVER_KEEPALIVES = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
"""How the server notices the same of our machine; by default it would keep our locks for two hours."""


class Lock(Protocol):
    def acquire(self) -> bool:
        """Take the lock if it is free or already ours; say whether we hold it now."""

    def release(self) -> None:
        """Give the lock up; harmless when it is not held."""


class FileLock:
    """An advisory lock on a file of its own."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle: IO[bytes] | None = None

    def acquire(self) -> bool:
        if self._handle is not None:
            return True
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle = self._file.open("ab")
        if not _lock_file(handle):
            handle.close()
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


class PostgresLock:
    """A session-level advisory lock on a connection of its own, checked by a round trip each time it is asked for."""

    def __init__(self, dsn: str, name: str) -> None:
        self._dsn = dsn
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None
        self._held = False

    def acquire(self) -> bool:
        try:
            return self._held_or_taken()
        except psycopg.Error:
            self.release()
            return False

    def _held_or_taken(self) -> bool:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                options=SERVER_KEEPALIVES,
                **KEEPALIVES,  # type: ignore[arg-type]  # libpq options
            )
        if self._held:
            self._connection.execute("SELECT 1")
            return True
        row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchone()
        self._held = bool(row and row[0])
        return self._held

    def release(self) -> None:
        self._held = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _lock_file(handle: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt  # Exists on Windows only.

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # Exists everywhere else.

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
