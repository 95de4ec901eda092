"""Settings of a whole process, made once by its entry point; never by a library or a test."""

import _thread
import ctypes
import os
import signal
import sys
import threading

SWITCH_INTERVAL = 0.0005
M_ARENA_MAX = -8
ARENAS = 2
OTHERS_MASK = 0o077
SIGNAL_NOTICED_WITHIN = 1.0
"""Seconds."""


def tune() -> None:
    """Suit the interpreter to threads that mostly wait for a database or a broker, and keep what it writes private.

    A thread that has its answer waits for the interpreter's lock up to the switch interval, five milliseconds unless
    told otherwise, at each round trip, while another thread decodes messages. And glibc gives each thread a heap of its
    own, which keeps tens of megabytes that nobody uses. Databases, brokers, mails and rejected rows hold people's data,
    so files are for the process's own user: 0600, and folders 0700.
    """
    os.umask(OTHERS_MASK)
    sys.setswitchinterval(SWITCH_INTERVAL)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_ARENA_MAX, ARENAS)


def stop_on_signals(stop: threading.Event) -> None:
    """Set the event at SIGTERM and SIGINT, whatever the main thread does at that moment.

    A handler runs in the main thread, between any two of its steps. Where that thread is about to wait for the event,
    it holds the event's lock, for which a handler that sets the event would wait for ever; so another thread sets it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _thread.start_new_thread(stop.set, ()))


def wait_for(stop: threading.Event) -> None:
    """Wait in the main thread until the event is set, by a signal too.

    A signal that another thread gets, or that comes just before the wait begins, does not end the wait: its handler
    runs in the main thread, and only once that thread goes on. So no wait of the main thread is without a deadline.
    """
    while not stop.wait(SIGNAL_NOTICED_WITHIN):
        pass
