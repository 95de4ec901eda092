import signal
import threading
from collections.abc import Iterator

import pytest

from service_chassis import process

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
