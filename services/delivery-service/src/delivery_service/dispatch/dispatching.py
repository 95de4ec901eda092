"""Dispatching as one of a worker's loops: a dispatcher from its start to the end of everything it has begun."""

import threading
from collections.abc import Callable

from delivery_service.dispatch.dispatcher import Dispatcher

TICK_EVERY_SECONDS = 1.0
STOP_WITHIN = 12.0
"""Seconds for what is under way, of the 15 a worker gives its loops; what takes longer is sent again."""


class Dispatching:
    """Makes a dispatcher anew each time the loop runs, so that one whose parts have failed is replaced as a whole."""

    def __init__(self, make: Callable[[], Dispatcher], stop: threading.Event) -> None:
        self._make = make
        self._stop = stop

    def run(self, tick: Callable[[], None]) -> None:
        """Send until told to stop."""
        dispatcher = self._make()
        dispatcher.start()
        try:
            while not self._stop.is_set():
                tick()
                self._stop.wait(TICK_EVERY_SECONDS)
        finally:
            dispatcher.stop(STOP_WITHIN)
