"""A fair mutex per SQLite file.

SQLite lets one connection write at a time and makes the others sleep and retry, which starves some of
them. Inside a process its writers queue up here instead, first come, first served.
"""

import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from weakref import WeakValueDictionary


class FairMutex:
    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._holder = 0
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if self._held and self._holder == threading.get_ident():
                raise RuntimeError("This thread is in a write to this file already, and would wait for itself.")
            turn = self._turn()
        turn.acquire()
        self._holder = threading.get_ident()

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        with self._guard:
            self._holder = 0
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

    def _turn(self) -> threading.Lock:
        """Return a lock that is free when it is our turn."""
        turn = threading.Lock()
        if self._held:
            turn.acquire()
            self._waiting.append(turn)
        self._held = True
        return turn


# The file is what the processes and services share, so its mutex belongs to the file, not to any one of them.
_by_file: WeakValueDictionary[Path, FairMutex] = WeakValueDictionary()
_by_file_guard = threading.Lock()


def writer_mutex(file: Path) -> FairMutex:
    """Return the mutex all writers of this file in this process share."""
    with _by_file_guard:
        return _by_file.setdefault(file.resolve(), FairMutex())
