"""A loop of a process: a supervised thread that says how long ago it last came round."""

import threading
import time
from collections.abc import Callable

from service_chassis.errors import Unavailable
from service_chassis.logs import Log

RESTART_AFTER = 1.0


class Loop:
    """A thread that runs a function until told to stop, and runs it again when it fails."""

    def __init__(self, name: str, run: Callable[[Callable[[], None]], None], log: Log, stop: threading.Event) -> None:
        self.name = name
        self._run = run
        self._log = log
        self._stop = stop
        self._ticked_at = time.monotonic()
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)

    @property
    def age(self) -> float:
        """Seconds since the loop last came round."""
        return time.monotonic() - self._ticked_at

    def start(self) -> None:
        self._thread.start()

    def join(self, deadline: float) -> bool:
        """Wait for the end until a monotonic deadline; say whether it came."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _tick(self) -> None:
        self._ticked_at = time.monotonic()

    def _supervise(self) -> None:
        while not self._stop.is_set():
            self._tick()
            try:
                self._run(self._tick)
            except Unavailable as error:
                self._log.warning("loop_paused", loop=self.name, error=error.message)
            except Exception:  # noqa: BLE001  # Whatever ended the loop is logged, and it starts again.
                self._log.exception("loop_failed", loop=self.name)
            self._stop.wait(RESTART_AFTER)
