import os
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from service_chassis.breaker import USUAL
from service_chassis.errors import TooManyRequests
from service_chassis.limits import Limit, Limiter, RedisWindows
from service_chassis.testing.waiting import wait_until

pytestmark = pytest.mark.servers

FIVE_A_SECOND = Limit(5, timedelta(seconds=1))
FIVE_A_MINUTE = Limit(5, timedelta(minutes=1))


@pytest.fixture
def redis_url() -> str:
    return os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379")


@pytest.fixture
def user() -> str:
    return f"test {uuid4()}"


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"


def is_admitted(limiter: Limiter, limit: Limit, user: str) -> bool:
    try:
        limiter.hit(limit, user)
    except TooManyRequests:
        return False
    return True


def patient(redis_url: str) -> Limiter:
    """Return a limiter that waits for its Redis also on a machine that has other things to do."""
    return Limiter(RedisWindows(redis_url, timeout=5))


def test_replicas_share_their_windows_in_redis(redis_url: str, user: str) -> None:
    one, other = patient(redis_url), patient(redis_url)
    remaining = [limiter.hit(FIVE_A_MINUTE, user).remaining for limiter in (one, other, one, other, one)]

    with pytest.raises(TooManyRequests) as refusal:
        other.hit(FIVE_A_MINUTE, user)

    assert remaining == [4, 3, 2, 1, 0]
    assert refusal.value.retry_after is not None
    assert 50 < refusal.value.retry_after <= 60
    assert one.degraded_hits == other.degraded_hits == 0


def test_keys_with_slashes_do_not_run_into_each_other(redis_url: str, user: str) -> None:
    limiter = patient(redis_url)
    for _ in range(5):
        limiter.hit(FIVE_A_MINUTE, user, "a/b")

    assert limiter.hit(FIVE_A_MINUTE, f"{user}/a", "b").remaining == 4


def test_the_window_in_redis_moves_on(redis_url: str, user: str) -> None:
    limiter = patient(redis_url)
    started = time.monotonic()
    assert [is_admitted(limiter, FIVE_A_SECOND, user) for _ in range(6)] == [True] * 5 + [False]

    wait_until(lambda: is_admitted(limiter, FIVE_A_SECOND, user))

    assert time.monotonic() - started >= 0.9
    assert limiter.degraded_hits == 0


def test_a_redis_that_does_not_answer_costs_little_and_no_answer(silent_server: str, user: str) -> None:
    limiter = Limiter.from_url(silent_server, USUAL)
    started = time.monotonic()

    admitted = [is_admitted(limiter, FIVE_A_MINUTE, user) for _ in range(6)]

    assert time.monotonic() - started < 1
    assert admitted == [True] * 5 + [False]
    assert (limiter.degraded, limiter.degraded_hits) == (True, 6)


def test_a_redis_that_is_not_there_costs_no_answer(user: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody_listens_here = server.getsockname()[1]
    limiter = Limiter.from_url(f"redis://127.0.0.1:{nobody_listens_here}", USUAL)

    assert limiter.hit(FIVE_A_MINUTE, user).remaining == 4
    assert limiter.degraded_hits == 1
