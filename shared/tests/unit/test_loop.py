import io
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from service_chassis import loop as loop_module
from service_chassis.errors import Unavailable
from service_chassis.logs import make_log
from service_chassis.loop import Loop
from service_chassis.testing.waiting import wait_until


@pytest.fixture(autouse=True)
def _short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "RESTART_AFTER", 0.01)


@pytest.fixture
def lines() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def started(lines: io.StringIO) -> Iterator[Callable[[Callable[[Callable[[], None]], None]], Loop]]:
    """Starts a loop that ends with the test."""
    stop = threading.Event()
    loops: list[Loop] = []

    def start(run: Callable[[Callable[[], None]], None]) -> Loop:
        loops.append(Loop("sample", run, make_log("tests", stream=lines), stop))
        loops[-1].start()
        return loops[-1]

    yield start
    stop.set()
    assert all(loop.join(time.monotonic() + 10) for loop in loops)


def test_a_loop_that_fails_is_started_again_and_says_why(started: Callable, lines: io.StringIO) -> None:
    errors: list[Exception] = [ZeroDivisionError("broken"), Unavailable("The broker is away.")]
    ended = threading.Event()

    def run(_: Callable[[], None]) -> None:
        if errors:
            raise errors.pop()
        ended.set()

    started(run)

    assert ended.wait(10)
    assert '"event": "loop_failed"' in lines.getvalue()
    assert "ZeroDivisionError: broken" in lines.getvalue()
    assert '"event": "loop_paused"' in lines.getvalue()
    assert "The broker is away." in lines.getvalue()


def test_a_loop_grows_old_until_it_ticks(started: Callable) -> None:
    tick_now, end = threading.Event(), threading.Event()

    def run(tick: Callable[[], None]) -> None:
        tick_now.wait(10)
        tick()
        end.wait(10)

    loop = started(run)
    old = wait_until(lambda: loop.age > 0.05 and loop.age)

    tick_now.set()

    wait_until(lambda: loop.age < old)
    end.set()


def test_waiting_for_a_loop_says_whether_it_ended(started: Callable) -> None:
    end = threading.Event()
    loop = started(lambda _: end.wait(10))

    assert not loop.join(time.monotonic())
    end.set()
