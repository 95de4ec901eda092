import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from service_chassis import process
from service_chassis.testing.waiting import wait_until

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stop = threading.Event()
    process.stop_on_signals(stop)
    yield stop
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_is_heard_also_while_the_main_thread_is_about_to_wait(
    stop: threading.Event, number: signal.Signals
) -> None:
    with stop._cond:  # type: ignore[attr-defined]  # What each wait holds for a moment.
        signal.raise_signal(number)

    assert stop.wait(5)


@pytest.mark.timeout(10)
def test_a_signal_that_another_thread_gets_ends_the_wait_of_the_main_thread(stop: threading.Event) -> None:
    main = threading.main_thread().ident
    assert main == threading.get_ident()

    seen: list[tuple[str, int]] = []

    def main_thread_waits() -> bool:
        """Say whether the main thread stands where it stood a moment ago, so that it has passed Python's last check."""
        frame = sys._current_frames()[main]
        seen.append((frame.f_code.co_qualname, frame.f_lasti))
        return frame.f_code.co_name == "wait" and seen[-3:-1] == [seen[-1], seen[-1]]

    def signal_this_thread() -> None:
        wait_until(main_thread_waits)
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    threading.Thread(target=signal_this_thread).start()

    process.wait_for(stop)

    assert stop.is_set()
