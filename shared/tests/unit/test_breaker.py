import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from pybreaker import CircuitMemoryStorage

from service_chassis.breaker import Breaker, BreakerOpen, Record, RecordStorage, State
from service_chassis.clock import ManualClock


class Refused(Exception):
    pass


class Time:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self._clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))

    def __call__(self) -> float:
        return self._clock.now().timestamp()

    def passes(self, seconds: float) -> None:
        self._clock.advance(timedelta(seconds=seconds))


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> Breaker:
    return Breaker("user-service", now=time, counts=lambda error: isinstance(error, OSError))


def fail(breaker: Breaker, times: int = 1, error: type[Exception] = ConnectionError) -> None:
    for _ in range(times):
        with suppress(error), breaker.attempt():
            raise error


def succeed(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with breaker.attempt():
            pass


def test_five_failures_in_a_row_open_it(breaker: Breaker) -> None:
    fail(breaker, 4)
    assert breaker.state == "closed"

    fail(breaker)

    assert breaker.state == "open"
    with pytest.raises(BreakerOpen) as refusal, breaker.attempt():
        pytest.fail("The block must not be entered.")
    assert (refusal.value.code, refusal.value.status, refusal.value.retry_after) == ("circuit_open", 503, 60)


def test_a_success_in_between_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 4)
    succeed(breaker)
    fail(breaker, 4)

    assert breaker.state == "closed"


def test_errors_that_do_not_count_are_answers(breaker: Breaker) -> None:
    fail(breaker, 4)
    fail(breaker, 1, error=Refused)
    fail(breaker, 4)

    assert breaker.state == "closed"


def test_half_of_twenty_calls_within_ten_seconds_open_it(breaker: Breaker) -> None:
    for _ in range(9):
        succeed(breaker)
        fail(breaker)
    succeed(breaker)
    assert breaker.state == "closed"

    fail(breaker)

    assert breaker.state == "open"


def test_failures_of_more_than_ten_seconds_ago_are_forgotten(breaker: Breaker, time: Time) -> None:
    for _ in range(9):
        succeed(breaker)
        fail(breaker)
    time.passes(11)
    succeed(breaker)
    fail(breaker)

    assert breaker.state == "closed"


def test_after_its_time_one_success_closes_it(breaker: Breaker, time: Time) -> None:
    fail(breaker, 5)
    time.passes(60)
    assert breaker.state == "half_open"

    succeed(breaker)

    assert breaker.state == "closed"
    fail(breaker, 4)
    assert breaker.state == "closed"


def test_a_failed_probe_opens_it_for_the_whole_time_again(breaker: Breaker, time: Time) -> None:
    fail(breaker, 5)
    time.passes(60)
    fail(breaker)

    time.passes(59)
    assert breaker.state == "open"
    time.passes(1)
    assert breaker.state == "half_open"


def test_of_many_threads_exactly_one_probes(breaker: Breaker, time: Time) -> None:
    fail(breaker, 5)
    time.passes(60)
    together, refusals = threading.Barrier(8), threading.Semaphore(0)

    def come(_: int) -> str:
        together.wait(10)
        try:
            with breaker.attempt():
                assert all(refusals.acquire(timeout=10) for _ in range(7))
                return "probed"
        except BreakerOpen as refusal:
            refusals.release()
            return f"come again in {refusal.retry_after:g} s"

    with ThreadPoolExecutor(8) as threads:
        outcomes = sorted(threads.map(come, range(8)))

    assert outcomes == [*["come again in 1 s"] * 7, "probed"]
    assert breaker.state == "closed"


def test_calls_run_side_by_side(breaker: Breaker) -> None:
    inside = threading.Barrier(4)

    def call() -> None:
        with breaker.attempt():
            inside.wait(10)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(call) for _ in range(4)]:
            done.result()


def test_a_call_from_before_it_opened_does_not_close_it(breaker: Breaker, time: Time) -> None:
    slow = breaker.allow()
    fail(breaker, 5)
    time.passes(60)
    probe = breaker.allow()

    slow.succeeded()

    assert breaker.state == "half_open"
    probe.failed()
    assert breaker.state == "open"


def test_only_the_first_outcome_of_a_call_counts(breaker: Breaker) -> None:
    fail(breaker, 4)
    with breaker.attempt() as attempt:
        attempt.failed()

    assert breaker.state == "open"


def test_a_probe_that_never_reports_gives_way_to_another(breaker: Breaker, time: Time) -> None:
    fail(breaker, 5)
    time.passes(60)
    breaker.allow()
    with pytest.raises(BreakerOpen):
        breaker.allow()

    time.passes(60)
    succeed(breaker)

    assert breaker.state == "closed"


def test_a_cancelled_call_says_nothing_and_frees_the_probe(breaker: Breaker, time: Time) -> None:
    async def cancelled() -> None:
        entered = asyncio.Event()

        async def call() -> None:
            with breaker.attempt():
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(call())
        await entered.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    fail(breaker, 5)
    time.passes(60)
    asyncio.run(cancelled())

    assert breaker.state == "half_open"
    succeed(breaker)
    assert breaker.state == "closed"


def test_each_change_of_state_is_told(breaker: Breaker, time: Time) -> None:
    told: list[str] = []
    breaker.on_change(told.append)

    fail(breaker, 5)
    time.passes(60)
    fail(breaker)
    time.passes(60)
    succeed(breaker)

    assert told == ["open", "half_open", "open", "half_open", "closed"]


def test_what_a_storage_keeps_outlives_the_breaker(time: Time) -> None:
    storage = CircuitMemoryStorage("closed")
    fail(Breaker("destination", now=time, storage=storage), 3)
    fail(Breaker("destination", now=time, storage=storage), 2)

    after_a_restart = Breaker("destination", now=time, storage=storage)

    assert after_a_restart.state == "open"
    time.passes(60)
    succeed(after_a_restart)
    assert Breaker("destination", now=time, storage=storage).state == "closed"


def test_a_record_takes_a_breaker_from_one_process_to_another(time: Time) -> None:
    record = Record()
    fail(Breaker("destination", now=time, storage=RecordStorage(record)), 5)
    assert (record.state, record.opened_at) == (State.OPEN, datetime.fromtimestamp(time(), UTC))

    read_back = Record(State(str(record.state)), record.failures, record.opened_at)
    after_a_restart = Breaker("destination", now=time, storage=RecordStorage(read_back))

    assert after_a_restart.state == "open"
    time.passes(60)
    succeed(after_a_restart)
    assert (read_back.state, read_back.failures) == (State.CLOSED, 0)


def test_a_probe_its_process_did_not_live_to_see_the_end_of_is_made_again(time: Time) -> None:
    record = Record()
    breaker = Breaker("destination", now=time, storage=RecordStorage(record))
    fail(breaker, 5)
    time.passes(60)
    breaker.allow()
    assert record.state == State.HALF_OPEN

    after_a_restart = Breaker("destination", now=time, storage=RecordStorage(record))

    succeed(after_a_restart)
    assert record.state == State.CLOSED
