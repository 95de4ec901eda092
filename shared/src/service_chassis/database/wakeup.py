"""How a commit wakes the relay: at once inside the process, by NOTIFY between processes.

Nothing depends on a wake-up arriving; the relay also looks once a second. NOTIFY is sent after the commit, on a
connection of its own and at most once per 5 ms, because inside the transaction it would serialise all commits.
"""

import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

import psycopg

from service_chassis.database.changes import Changes
from service_chassis.database.locks import KEEPALIVES

CHANNEL = "steward_outbox"
NOTIFY_EVERY = 0.005
RECONNECT_AFTER = 1.0
CLOSE_WITHIN = 5.0
LONGEST_EAR = 1.0
"""Seconds a wait goes on at most after `close`."""

Connection = psycopg.Connection[tuple[object, ...]]


class Wakeup(Protocol):
    def signal(self) -> None:
        """Say that there is something in the outbox; never blocks and never fails."""

    def wait(self, timeout: float) -> bool:
        """Return when signalled, and at the latest after `timeout` seconds; say whether there may be something new."""

    def close(self) -> None:
        """End any wait, at the latest after a second, and give up connections."""


class LocalWakeup:
    """Of what other processes write to the file, the wait tells when it is over."""

    def __init__(self, file: Path) -> None:
        self._event = threading.Event()
        self._changes = Changes(file)

    def signal(self) -> None:
        self._event.set()

    def wait(self, timeout: float) -> bool:
        signalled = self._event.wait(timeout)
        self._event.clear()
        return self._changes.any() or signalled

    def close(self) -> None:
        self._event.set()


class PostgresWakeup:
    """Signals by NOTIFY from a thread of its own; waits by LISTEN.

    The thread starts with the first signal, that is, after a pre-forking web server has forked.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._starting = threading.Lock()
        self._waiting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._listening: Connection | None = None

    def signal(self) -> None:
        self._wanted.set()
        if self._thread is None:
            self._start()

    def wait(self, timeout: float) -> bool:
        with self._waiting:
            try:
                self._hear(time.monotonic() + timeout)
            except psycopg.Error:
                self._stop_listening()
                self._closed.wait(min(timeout, RECONNECT_AFTER))
        return True

    def close(self) -> None:
        self._closed.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(CLOSE_WITHIN)
        with self._waiting:
            self._stop_listening()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._notify, name="outbox-notify", daemon=True)
                self._thread.start()

    def _notify(self) -> None:
        while not self._closed.is_set():
            self._wanted.wait()
            with suppress(psycopg.Error), closing(self._connect()) as connection:
                self._notify_over(connection)
            self._closed.wait(RECONNECT_AFTER)

    def _notify_over(self, connection: Connection) -> None:
        while not self._closed.is_set():
            self._wanted.wait()
            self._wanted.clear()
            connection.execute(f"NOTIFY {CHANNEL}")
            self._closed.wait(NOTIFY_EVERY)

    def _hear(self, deadline: float) -> None:
        if self._listening is None:
            # What was signalled before is not heard any more, so the caller has to look for himself once.
            self._listening = self._connect()
            self._listening.execute(f"LISTEN {CHANNEL}")
            return
        while not self._closed.is_set() and (left := deadline - time.monotonic()) > 0:
            for _ in self._listening.notifies(timeout=min(left, LONGEST_EAR), stop_after=1):
                return

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _connect(self) -> Connection:
        return psycopg.connect(self._dsn, autocommit=True, **KEEPALIVES)  # type: ignore[arg-type]  # libpq options
