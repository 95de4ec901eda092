"""Moving-window rate limits, counted in Redis for all replicas or in this process.

A Redis that is away or slow costs a call at most 50 ms and no answer: the call is then counted in this process.
"""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from urllib.parse import quote

from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from service_chassis.breaker import USUAL, Breaker, BreakerOpen, BreakerRules, State
from service_chassis.errors import TooManyRequests

REDIS_TIMEOUT = 0.025
"""Seconds for one round trip; a hit takes two, so 50 ms together."""
MOST_KEYS = 20_000
"""Windows kept in this process; those idle longest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` hits within any `per`, which is whole seconds."""

    amount: int
    per: timedelta

    def __post_init__(self) -> None:
        """Refuse what no window can hold."""
        if self.amount < 1 or self.per < timedelta(seconds=1) or self.per % timedelta(seconds=1):
            raise ValueError("A limit is at least one hit within a whole number of seconds.")


@dataclass(frozen=True, slots=True)
class Allowed:
    """An admitted hit: how many more fit now, and in how many seconds the oldest one leaves the window."""

    remaining: int
    reset_after: float


class Windows(Protocol):
    def hit(self, limit: Limit, keys: tuple[str, ...], /) -> Allowed:
        """Count one hit; raises TooManyRequests, or StorageError where the windows cannot be reached."""


class Limiter:
    """Admits hits up to a limit for each combination of keys; refused hits do not count."""

    def __init__(
        self,
        shared: Windows | None = None,
        rules: BreakerRules = USUAL,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count in `shared` as long as it can be reached, and in this process otherwise."""
        self._shared = shared
        self._local = LocalWindows(now)
        self.breaker = Breaker("limits", rules, counts=_is_outage, now=now)
        self._lock = threading.Lock()
        self._degraded_hits = 0

    @classmethod
    def from_url(cls, redis_url: str | None, rules: BreakerRules) -> "Limiter":
        """Return a limiter over this Redis, or over this process alone; nothing is opened before the first hit."""
        return cls(RedisWindows(redis_url) if redis_url else None, rules)

    @property
    def degraded(self) -> bool:
        """Whether Redis is wanted and being left alone at the moment."""
        return self.breaker.state is not State.CLOSED

    @property
    def degraded_hits(self) -> int:
        """How many hits were counted in this process although Redis is wanted."""
        return self._degraded_hits

    def hit(self, limit: Limit, *keys: str) -> Allowed:
        """Count one hit for these keys; raises TooManyRequests with the seconds until another fits."""
        if self._shared is None:
            return self._local.hit(limit, keys)
        try:
            with self.breaker.attempt():
                return self._shared.hit(limit, keys)
        except (StorageError, BreakerOpen):
            with self._lock:
                self._degraded_hits += 1
            return self._local.hit(limit, keys)


class RedisWindows:
    """Windows in Redis, by the `limits` library: one script per hit, on Redis's own time."""

    def __init__(self, url: str, timeout: float = REDIS_TIMEOUT) -> None:
        """Wait so many seconds for each answer."""
        # The import brings a whole client library; the embedded run needs none of it.
        from redis import ConnectionPool
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        pool = ConnectionPool.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
        )
        self._limiter = MovingWindowRateLimiter(RedisStorage(url, connection_pool=pool, wrap_exceptions=True))

    def hit(self, limit: Limit, keys: tuple[str, ...]) -> Allowed:
        """Count one hit; raises TooManyRequests or StorageError."""
        seconds = int(limit.per.total_seconds())
        item = RateLimitItemPerSecond(limit.amount, seconds)
        # The library joins keys by slashes, which a key may contain.
        names = [quote(key, safe="") for key in keys]
        admitted = self._limiter.hit(item, *names)
        window = self._limiter.get_window_stats(item, *names)
        # The library reads the window by this machine's clock, which may differ from Redis's.
        reset_after = min(max(window.reset_time - time.time(), 0.0), seconds)
        if not admitted:
            raise TooManyRequests(retry_after=reset_after)
        return Allowed(max(window.remaining, 0), reset_after)


class LocalWindows:
    """Windows in this process, bounded in number; the `limits` library's own keep every key for ever."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._windows: OrderedDict[tuple[Limit, tuple[str, ...]], deque[float]] = OrderedDict()

    def hit(self, limit: Limit, keys: tuple[str, ...]) -> Allowed:
        """Count one hit; raises TooManyRequests."""
        seconds = limit.per.total_seconds()
        with self._lock:
            now, hits = self._now(), self._window(limit, keys)
            while hits and hits[0] <= now - seconds:
                hits.popleft()
            if len(hits) >= limit.amount:
                raise TooManyRequests(retry_after=hits[0] + seconds - now)
            hits.append(now)
            return Allowed(limit.amount - len(hits), hits[0] + seconds - now)

    def _window(self, limit: Limit, keys: tuple[str, ...]) -> deque[float]:
        hits = self._windows.setdefault((limit, keys), deque())
        self._windows.move_to_end((limit, keys))
        if len(self._windows) > MOST_KEYS:
            self._windows.popitem(last=False)
        return hits


def _is_outage(error: BaseException) -> bool:
    return isinstance(error, StorageError)
