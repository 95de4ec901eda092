from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from limits.errors import StorageError

from service_chassis import limits
from service_chassis.clock import ManualClock
from service_chassis.errors import TooManyRequests
from service_chassis.limits import Allowed, Limit, Limiter

FIVE_A_SECOND = Limit(5, timedelta(seconds=1))


class SharedWindows:
    """Stands for Redis: allows everything, or is away."""

    def __init__(self) -> None:
        self.away = False
        self.refuses = False
        self.hits = 0

    def hit(self, limit: Limit, _: tuple[str, ...], /) -> Allowed:
        self.hits += 1
        if self.away:
            raise StorageError(ConnectionError("refused"))
        if self.refuses:
            raise TooManyRequests(retry_after=1)
        return Allowed(limit.amount, 0)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 5, 1, tzinfo=UTC))


@pytest.fixture
def shared() -> SharedWindows:
    return SharedWindows()


@pytest.fixture
def limiter(clock: ManualClock) -> Limiter:
    return Limiter(now=lambda: clock.now().timestamp())


@pytest.fixture
def shared_limiter(shared: SharedWindows, clock: ManualClock) -> Limiter:
    return Limiter(shared, now=lambda: clock.now().timestamp())


def use_up(limiter: Limiter, limit: Limit, *keys: str) -> None:
    for _ in range(limit.amount):
        limiter.hit(limit, *keys)


def test_the_sixth_hit_within_a_second_is_refused(limiter: Limiter, clock: ManualClock) -> None:
    use_up(limiter, FIVE_A_SECOND, "anna")
    clock.advance(timedelta(milliseconds=750))

    with pytest.raises(TooManyRequests) as refusal:
        limiter.hit(FIVE_A_SECOND, "anna")

    assert (refusal.value.status, refusal.value.retry_after) == (429, 0.25)


def test_the_window_moves_with_each_hit(limiter: Limiter, clock: ManualClock) -> None:
    limiter.hit(FIVE_A_SECOND, "anna")
    clock.advance(timedelta(milliseconds=500))
    for remaining in (3, 2, 1, 0):
        assert limiter.hit(FIVE_A_SECOND, "anna") == Allowed(remaining, 0.5)

    clock.advance(timedelta(milliseconds=500))

    assert limiter.hit(FIVE_A_SECOND, "anna") == Allowed(0, 0.5)
    with pytest.raises(TooManyRequests):
        limiter.hit(FIVE_A_SECOND, "anna")


def test_refused_hits_do_not_count(limiter: Limiter, clock: ManualClock) -> None:
    use_up(limiter, FIVE_A_SECOND, "anna")
    for _ in range(10):
        with pytest.raises(TooManyRequests):
            limiter.hit(FIVE_A_SECOND, "anna")

    clock.advance(timedelta(seconds=1))

    assert limiter.hit(FIVE_A_SECOND, "anna").remaining == 4


def test_every_combination_of_keys_and_every_limit_has_its_own_window(limiter: Limiter) -> None:
    use_up(limiter, FIVE_A_SECOND, "user", "a/b")

    limiter.hit(FIVE_A_SECOND, "user/a", "b")
    limiter.hit(FIVE_A_SECOND, "account", "a/b")
    limiter.hit(Limit(5, timedelta(minutes=1)), "user", "a/b")
    with pytest.raises(TooManyRequests):
        limiter.hit(FIVE_A_SECOND, "user", "a/b")


def test_many_threads_together_get_what_the_limit_allows(limiter: Limiter) -> None:
    def admitted(_: int) -> bool:
        try:
            limiter.hit(FIVE_A_SECOND, "anna")
        except TooManyRequests:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(admitted, range(200))) == 5


def test_windows_idle_longest_are_forgotten_first(limiter: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_KEYS", 2)
    use_up(limiter, FIVE_A_SECOND, "anna")
    use_up(limiter, FIVE_A_SECOND, "ben")
    limiter.hit(FIVE_A_SECOND, "cora")

    assert limiter.hit(FIVE_A_SECOND, "anna").remaining == 4
    assert limiter.hit(FIVE_A_SECOND, "cora").remaining == 3


@pytest.mark.parametrize(
    ("amount", "per"),
    [(0, timedelta(seconds=1)), (1, timedelta(0)), (1, timedelta(milliseconds=500)), (1, timedelta(seconds=1.5))],
)
def test_a_limit_no_window_can_hold_is_refused(amount: int, per: timedelta) -> None:
    with pytest.raises(ValueError, match="whole number of seconds"):
        Limit(amount, per)


def test_without_redis_nothing_is_degraded(limiter: Limiter) -> None:
    limiter.hit(FIVE_A_SECOND, "anna")

    assert not limiter.degraded
    assert limiter.degraded_hits == 0


def test_a_refusal_of_redis_is_an_answer(shared_limiter: Limiter, shared: SharedWindows) -> None:
    shared.refuses = True

    for _ in range(10):
        with pytest.raises(TooManyRequests):
            shared_limiter.hit(FIVE_A_SECOND, "anna")

    assert (shared.hits, shared_limiter.degraded_hits, shared_limiter.degraded) == (10, 0, False)


def test_while_redis_is_away_the_limit_holds_in_this_process(shared_limiter: Limiter, shared: SharedWindows) -> None:
    shared.away = True

    use_up(shared_limiter, FIVE_A_SECOND, "anna")
    with pytest.raises(TooManyRequests):
        shared_limiter.hit(FIVE_A_SECOND, "anna")

    assert shared_limiter.degraded
    assert shared_limiter.degraded_hits == 6


def test_redis_is_left_alone_after_five_failures_and_asked_again_after_a_minute(
    shared_limiter: Limiter, shared: SharedWindows, clock: ManualClock
) -> None:
    shared.away = True
    use_up(shared_limiter, FIVE_A_SECOND, "anna")
    use_up(shared_limiter, FIVE_A_SECOND, "bert")
    assert shared.hits == 5

    shared.away = False
    clock.advance(timedelta(seconds=60))
    shared_limiter.hit(FIVE_A_SECOND, "anna")

    assert shared.hits == 6
    assert not shared_limiter.degraded
