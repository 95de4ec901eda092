"""How a commit wakes the relay: at once inside the process, by NOTIFY between processes.

Nothing depends on a wake-up arriving; the relay also looks once a second. NOTIFY is sent after the commit, on a
connection of its own and at most once per 5 ms, because inside the transaction it would serialise all commits.
"""

import threading
from typing import Protocol

import psycopg

CHANNEL = "steward_outbox"
NOTIFY_EVERY = 0.005


class Wakeup(Protocol):
    def signal(self) -> None:
        """Say that there is something in the outbox; never blocks and never fails."""

    def wait(self, timeout: float) -> None:
        """Return when signalled, and at the latest after `timeout` seconds."""

    def close(self) -> None:
        """End any wait and give up connections."""


class LocalWakeup:
    def __init__(self) -> None:
        self._event = threading.Event()

    def signal(self) -> None:
        self._event.set()

    def wait(self, timeout: float) -> None:
        self._event.wait(timeout)
        self._event.clear()

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
        self._thread: threading.Thread | None = None
        self._listening: psycopg.Connection[tuple[object, ...]] | None = None

    def signal(self) -> None:
        self._wanted.set()
        if self._thread is None:
            self._start()

    def wait(self, timeout: float) -> None:
        try:
            for _ in self._listener().notifies(timeout=timeout, stop_after=1):
                return
        except psycopg.Error:
            self._listening = None
            self._closed.wait(timeout)

    def close(self) -> None:
        self._closed.set()
        self._wanted.set()
        if self._listening is not None:
            self._listening.close()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._notify, name="outbox-notify", daemon=True)
                self._thread.start()

    def _notify(self) -> None:
        connection: psycopg.Connection[tuple[object, ...]] | None = None
        while not self._closed.is_set():
            self._wanted.wait()
            self._wanted.clear()
            try:
                connection = connection or psycopg.connect(self._dsn, autocommit=True, connect_timeout=3)
                connection.execute(f"NOTIFY {CHANNEL}")
            except psycopg.Error:
                connection = None
            self._closed.wait(NOTIFY_EVERY)
        if connection is not None:
            connection.close()

    def _listener(self) -> psycopg.Connection[tuple[object, ...]]:
        if self._listening is None or self._listening.closed:
            self._listening = psycopg.connect(self._dsn, autocommit=True, connect_timeout=3)
            self._listening.execute(f"LISTEN {CHANNEL}")
        return self._listening
