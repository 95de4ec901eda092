import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from service_chassis.cache import Cache, MemoryCache, connect
from service_chassis.cache.memory import MOST_KEYS
from service_chassis.cache.redis import PAUSE, TOLD_AT_ONCE, RedisCache
from service_chassis.testing.conformance.cache import CacheConformance, NewCache
from service_chassis.testing.proxy import Proxy

HOUR = timedelta(hours=1)


class TestMemory(CacheConformance):
    @pytest.fixture
    def new_cache(self) -> NewCache:
        return MemoryCache


@pytest.fixture
def redis_url() -> str:
    return os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379")


@pytest.mark.servers
class TestRedis(CacheConformance):
    @pytest.fixture
    def new_cache(self, redis_url: str) -> NewCache:
        def new_cache(lifetime: timedelta) -> Cache:
            return connect(redis_url, lifetime)

        return new_cache


def test_the_memory_forgets_what_nobody_asks_for() -> None:
    cache = MemoryCache(HOUR)
    cache.put("asked for", "kept", version=1)
    for number in range(MOST_KEYS):
        cache.put(str(number), number, version=1)
        cache.get("asked for")

    assert cache.get("asked for") == "kept"
    assert cache.get("0") is None


@pytest.mark.servers
class TestWithoutRedis:
    @pytest.fixture
    def proxy(self, redis_url: str) -> Iterator[Proxy]:
        with Proxy(redis_url) as proxy:
            yield proxy

    def test_nothing_is_known_and_nobody_waits(self, proxy: Proxy) -> None:
        cache, key = RedisCache(proxy.url, HOUR), str(uuid4())
        cache.put(key, "value", version=1)
        assert cache.problem() is None
        proxy.cut()

        assert cache.get(key) is None
        assert "Redis does not answer" in (cache.problem() or "")

    def test_a_server_that_does_not_answer_is_soon_left_alone(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            cache = RedisCache(f"redis://127.0.0.1:{server.getsockname()[1]}", HOUR)
            for _ in range(50):
                assert cache.get("key") is None

    def test_what_changed_meanwhile_is_put_before_anything_is_read(self, proxy: Proxy) -> None:
        seconds = [0.0]
        cache, key = RedisCache(proxy.url, HOUR, now=lambda: seconds[0]), str(uuid4())
        cache.put(key, "old", version=1)
        proxy.cut()
        for version in (2, 3):
            cache.change(key, f"version {version}", version=version)

        proxy.restore()
        seconds[0] += PAUSE.total_seconds()

        assert cache.get(key) == "version 3"

    def test_what_was_only_read_meanwhile_is_not_put_later(self, proxy: Proxy) -> None:
        seconds = [0.0]
        cache, read, changed = RedisCache(proxy.url, HOUR, now=lambda: seconds[0]), str(uuid4()), str(uuid4())
        proxy.cut()
        cache.put(read, "value", version=1)
        cache.change(changed, "value", version=1)

        proxy.restore()
        seconds[0] += PAUSE.total_seconds()

        assert (cache.get(changed), cache.get(read)) == ("value", None)

    def test_each_use_after_an_outage_tells_no_more_than_it_has_time_for(self, proxy: Proxy, redis_url: str) -> None:
        seconds = [0.0]
        cache, other = RedisCache(proxy.url, HOUR, now=lambda: seconds[0]), RedisCache(redis_url, HOUR)
        keys = [str(uuid4()) for _ in range(TOLD_AT_ONCE + 1)]
        for key in keys:
            other.put(key, "old", version=1)
        proxy.cut()
        for key in keys:
            cache.change(key, "new", version=2)
        proxy.restore()
        seconds[0] += PAUSE.total_seconds()

        assert [cache.get(keys[-1]), other.get(keys[-2]), other.get(keys[-1])] == [None, "new", "old"]
        assert [cache.get(keys[-1]), other.get(keys[-1])] == ["new", "new"]
