"""A server of the tests' own: it may be stopped, killed and frozen without harm to anybody."""

import signal
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from service_chassis.testing.servers.process import Guard, Process, ServerError, free_port

START_SECONDS = 60


class PrivateServer(ABC):
    """A server on a port of its own, with its data in a temporary directory.

    Port and data stay the same from one start to the next. `close`, or the end of this process in whatever
    way, ends the server and removes the data.
    """

    STOP_SIGNAL: ClassVar = signal.SIGTERM
    """Asks for an orderly shutdown."""

    LAST_SIGNAL: ClassVar = signal.SIGKILL
    """Ends a server whose data nobody needs any more, in the quickest way that leaves nothing behind."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder: Path | None = None
        self._guard: Guard | None = None
        self._process: Process | None = None

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def _prepare(self, folder: Path, guard: Guard) -> None:
        """Make what the server needs before its first start."""

    @abstractmethod
    def _launch(self, folder: Path, guard: Guard) -> Process: ...

    @abstractmethod
    def _log_in(self) -> None:
        """Make a round trip; raises ServerError."""

    def start(self) -> None:
        """Start the server and wait until it can be used; raises ServerError."""
        if self._process is not None:
            raise ServerError(f"The server at {self.url} has been started already.")
        if self._folder is None or self._guard is None:
            self._folder = Path(tempfile.mkdtemp(prefix="steward-server-"))
            self._guard = Guard(self._folder)
            self._prepare(self._folder, self._guard)
        self._process = self._launch(self._folder, self._guard)
        self._process.wait_for(self._answers, START_SECONDS)

    def stop(self) -> None:
        """Shut the server down in order and wait for it."""
        process, self._process = self._running, None
        process.stop(self.STOP_SIGNAL)

    def kill(self) -> None:
        """Kill all processes of the server at once, with no chance to finish anything."""
        process, self._process = self._running, None
        process.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Make the server hang: connections stay open, and nothing is answered until `thaw`."""
        self._running.freeze()

    def thaw(self) -> None:
        self._running.thaw()

    def close(self) -> None:
        """End the server in whatever state it is, and remove its data."""
        if self._guard is not None:
            self._guard.end()
        self._folder = self._guard = self._process = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    @property
    def _running(self) -> Process:
        if self._process is None:
            raise ServerError(f"The server at {self.url} is not running.")
        return self._process

    def _answers(self) -> bool:
        with suppress(ServerError):
            self._log_in()
            return True
        return False
