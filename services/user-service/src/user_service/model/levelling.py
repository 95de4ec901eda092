"""How long a no has to take, so that the time does not say which form of hash was checked, or whether there was one."""

import threading
from collections import deque
from collections.abc import Iterable

REMEMBERED = 16
SLACK = 1.25
"""By how much a no takes longer than the slowest check of late: the next one may be a little slower."""
LONGEST = 3.0
"""Seconds that nobody is kept beyond, whatever a busy machine makes of it."""


class Levels:
    """What checks of late have taken, by form; with one form alone there is nothing to level."""

    def __init__(self, own: str) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, deque[float]] = {own: deque(maxlen=REMEMBERED)}

    def unknown(self, forms: Iterable[str]) -> list[str]:
        """Return those of these forms that were never measured."""
        with self._lock:
            return [form for form in forms if not self._taken.get(form)]

    def note(self, form: str, seconds: float) -> None:
        with self._lock:
            self._taken.setdefault(form, deque(maxlen=REMEMBERED)).append(seconds)

    def level(self) -> float:
        """Return the seconds a check that fails has to take."""
        with self._lock:
            if len(self._taken) == 1:
                return 0.0
            return min(SLACK * max((max(taken) for taken in self._taken.values() if taken), default=0.0), LONGEST)
