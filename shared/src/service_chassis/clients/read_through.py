"""A projection may say yes; only the owner may say no."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Generic, TypeVar

MOST_DENIALS = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ReadThrough(Generic[K, V]):
    """Confirms with the owner that something is missing before anybody is refused for it.

    The owner is asked about each key once at a time, and its "no" is remembered for a moment; its "yes" is not, for
    the projection will soon say the same.
    """

    def __init__(
        self, *, remember: timedelta = timedelta(seconds=2), now: Callable[[], float] = time.monotonic
    ) -> None:
        self._remember = remember.total_seconds()
        self._now = now
        self._lock = threading.Lock()
        self._asking: dict[K, Future[Mapping[K, V]]] = {}
        self._denied_until: OrderedDict[K, float] = OrderedDict()

    def confirm(self, keys: Collection[K], fetch_owner: Callable[[Sequence[K]], Mapping[K, V]]) -> Mapping[K, V]:
        """Return what the owner holds under keys that the projection misses; of the others it holds nothing.

        It is asked in one call. What `fetch_owner` raises passes through: when the owner cannot be asked there is no
        answer, least of all no.
        """
        answer: Future[Mapping[K, V]] = Future()
        with self._lock:
            now = self._now()
            missed = [key for key in dict.fromkeys(keys) if now >= self._denied_until.get(key, now)]
            own = [key for key in missed if key not in self._asking]
            self._asking.update(dict.fromkeys(own, answer))
            under_way = {key: self._asking[key] for key in missed}
        if own:
            self._ask(own, fetch_owner, answer)
        # Each answers its own keys before it waits for others, so that two never wait for each other.
        answers = {key: asked.result() for key, asked in under_way.items()}
        return {key: found[key] for key, found in answers.items() if key in found}

    def _ask(
        self, keys: Sequence[K], fetch_owner: Callable[[Sequence[K]], Mapping[K, V]], answer: Future[Mapping[K, V]]
    ) -> None:
        try:
            found = fetch_owner(keys)
        except BaseException as error:
            self._answered(keys, denied=())
            answer.set_exception(error)
            raise
        self._answered(keys, denied=[key for key in keys if key not in found])
        answer.set_result(found)

    def _answered(self, keys: Sequence[K], denied: Collection[K]) -> None:
        with self._lock:
            for key in keys:
                del self._asking[key]
                self._denied_until.pop(key, None)
            self._denied_until.update(dict.fromkeys(denied, self._now() + self._remember))
            while len(self._denied_until) > MOST_DENIALS:
                self._denied_until.popitem(last=False)
