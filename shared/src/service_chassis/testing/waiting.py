"""Waiting for something to come true, with a deadline; tests never sleep for a while and hope."""

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY = 0.01


def wait_until(condition: Callable[[], T], within: float = 10, every: float = LOOK_EVERY) -> T:
    """Return the condition's value as soon as it counts as true; raises AssertionError after `within` seconds.

    What costs those it asks something is asked less often.
    """
    deadline = time.monotonic() + within
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Not true within {within:g} s: {_source(condition)}")
        time.sleep(every)
    return value


def _source(condition: Callable[[], object]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
