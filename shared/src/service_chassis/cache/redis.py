"""A cache in Redis, which all replicas share.

Where Redis is away or slow, nothing is known and nobody waits. What was changed meanwhile is owed, and told when Redis
is back, a piece with each use, so that it does not go on showing what was before; until then it is not asked for that.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

import msgspec
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from service_chassis.breaker import USUAL, Breaker, BreakerOpen, BreakerRules

TIMEOUT = 0.1
"""Seconds for one round trip."""
PAUSE = timedelta(seconds=5)
"""Longest time Redis is left alone: until it is told what is owed to it, others may read there what was before."""
MOST_OWED = 20_000
TOLD_AT_ONCE = 100

PUT = """
local known = redis.call('HGET', KEYS[1], 'version')
if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'value', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""

T = TypeVar("T")


class RedisCache:
    def __init__(
        self,
        url: str,
        lifetime: timedelta,
        rules: BreakerRules = USUAL,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        retry = Retry(NoBackoff(), 0)
        self._client = Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=retry)
        self._lifetime = int(lifetime.total_seconds() * 1000)
        self.breaker = Breaker("cache", rules.at_most(PAUSE), counts=_is_outage, now=now)
        self._lock = threading.Lock()
        self._owed: dict[str, tuple[bytes, int]] = {}

    def get(self, key: str) -> Any:
        value = self._reached(lambda: None if key in self._owed else self._client.hget(key, "value"))
        return None if value is None else msgspec.json.decode(value)

    def put(self, key: str, value: Any, *, version: int) -> None:
        self._reached(lambda: self._put({key: (msgspec.json.encode(value), version)}))

    def change(self, key: str, value: Any, *, version: int) -> None:
        changed = msgspec.json.encode(value), version
        if self._reached(lambda: self._put({key: changed})) is None:
            self._owe(key, *changed)

    def problem(self) -> str | None:
        try:
            self._client.ping()
        except RedisError as error:
            return f"Redis does not answer: {error}"
        return None

    def _put(self, values: dict[str, tuple[bytes, int]]) -> bool:
        """Put values in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for key, (value, version) in values.items():
            pipeline.eval(PUT, 1, key, str(version), value, str(self._lifetime))
        pipeline.execute()
        return True

    def _reached(self, call: Callable[[], T]) -> T | None:
        """Return what Redis says after it was given some of what it is owed, or None where it cannot be reached."""
        try:
            with self.breaker.attempt():
                self._settle()
                return call()
        except (RedisError, BreakerOpen):
            return None

    def _owe(self, key: str, value: bytes, version: int) -> None:
        with self._lock:
            known = self._owed.get(key)
            if len(self._owed) < MOST_OWED if known is None else known[1] <= version:
                self._owed[key] = value, version

    def _settle(self) -> None:
        if not self._owed:
            return
        with self._lock:
            told = dict(islice(self._owed.items(), TOLD_AT_ONCE))
        self._put(told)
        with self._lock:
            for key, value in told.items():
                if self._owed.get(key) == value:
                    del self._owed[key]


def _is_outage(error: BaseException) -> bool:
    return isinstance(error, RedisError)
