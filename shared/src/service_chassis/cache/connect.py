"""From a URL to the cache behind it."""

from datetime import timedelta

from service_chassis.breaker import USUAL, BreakerRules
from service_chassis.cache.cache import Cache
from service_chassis.cache.memory import MemoryCache
from service_chassis.metrics import Metrics


def connect(url: str | None, lifetime: timedelta, rules: BreakerRules = USUAL, metrics: Metrics | None = None) -> Cache:
    """Return the cache in this Redis, or in this process; nothing is opened before the first use."""
    if url is None:
        return MemoryCache(lifetime)
    # The import brings a whole client library; the embedded run needs none of it.
    from service_chassis.cache.redis import RedisCache

    cache = RedisCache(url, lifetime, rules)
    if metrics is not None:
        metrics.watch(cache.breaker)
    return cache
