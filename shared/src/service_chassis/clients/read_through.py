"""A projection may say yes; only the owner may say no."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from datetime import timedelta
from typing import Generic, TypeVar

MOST_DENIALS = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ReadThrough(Generic[K, V]):
    """Confirms with the owner that something is missing before anybody is refused for it.

    The owner is asked once per key at a time, and its "no" is remembered for a moment; its "yes" is not, for the
    projection will soon say the same.
    """

    def __init__(
        self, *, remember: timedelta = timedelta(seconds=2), now: Callable[[], float] = time.monotonic
    ) -> None:
        self._remember = remember.total_seconds()
        self._now = now
        self._lock = threading.Lock()
        self._asking: dict[K, Future[V | None]] = {}
        self._denied_until: OrderedDict[K, float] = OrderedDict()

    def confirm(self, key: K, lookup_local: Callable[[K], V | None], fetch_owner: Callable[[K], V | None]) -> V | None:
        """Return what the projection or else the owner holds; None means that the owner holds nothing.

        What `fetch_owner` raises passes through: when the owner cannot be asked there is no answer, least of all no.
        """
        local = lookup_local(key)
        if local is not None:
            return local
        with self._lock:
            if self._now() < self._denied_until.get(key, 0.0):
                return None
            under_way = self._asking.get(key)
            answer = self._asking.setdefault(key, Future())
        return self._ask(key, fetch_owner, answer) if under_way is None else answer.result()

    def _ask(self, key: K, fetch_owner: Callable[[K], V | None], answer: Future[V | None]) -> V | None:
        try:
            found = fetch_owner(key)
        except BaseException as error:
            self._answered(key, denied=False)
            answer.set_exception(error)
            raise
        self._answered(key, denied=found is None)
        answer.set_result(found)
        return found

    def _answered(self, key: K, *, denied: bool) -> None:
        with self._lock:
            del self._asking[key]
            self._denied_until.pop(key, None)
            if denied:
                self._denied_until[key] = self._now() + self._remember
            if len(self._denied_until) > MOST_DENIALS:
                self._denied_until.popitem(last=False)
