"""How a cache behaves, whichever it is."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from service_chassis.cache import Cache
from service_chassis.testing.waiting import wait_until

NewCache = Callable[[timedelta], Cache]
HOUR = timedelta(hours=1)


class CacheConformance:
    """A suite derives from it and has a fixture `new_cache`, which makes caches of a lifetime."""

    @pytest.fixture
    def cache(self, new_cache: NewCache) -> Cache:
        return new_cache(HOUR)

    @pytest.fixture
    def key(self) -> str:
        return f"test:{uuid4()}"

    def test_what_was_put_is_known(self, cache: Cache, key: str) -> None:
        cache.put(key, {"email": True, "names": ["Ünal"]}, version=1)

        assert cache.get(key) == {"email": True, "names": ["Ünal"]}

    def test_what_was_not_put_is_not_known(self, cache: Cache, key: str) -> None:
        assert cache.get(key) is None

    def test_a_newer_value_takes_the_place_of_an_older_one(self, cache: Cache, key: str) -> None:
        cache.put(key, "old", version=1)
        cache.put(key, "new", version=2)

        assert cache.get(key) == "new"

    def test_who_read_before_a_change_and_puts_after_it_brings_nothing_back(self, cache: Cache, key: str) -> None:
        cache.put(key, "new", version=10)
        cache.put(key, "old", version=9)

        assert cache.get(key) == "new"

    def test_a_change_shows_and_is_not_undone_by_who_read_before(self, cache: Cache, key: str) -> None:
        cache.put(key, "old", version=9)
        cache.change(key, "new", version=10)
        cache.put(key, "old", version=9)

        assert cache.get(key) == "new"

    def test_a_value_is_forgotten_after_its_lifetime(self, new_cache: NewCache, key: str) -> None:
        cache = new_cache(timedelta(milliseconds=50))
        cache.put(key, "old", version=2)

        wait_until(lambda: cache.get(key) is None)

    def test_changing_what_was_returned_changes_nothing(self, cache: Cache, key: str) -> None:
        cache.put(key, {"email": True}, version=1)
        cache.get(key)["email"] = False

        assert cache.get(key) == {"email": True}
