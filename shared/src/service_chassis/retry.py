"""How long to wait before trying again, as a value; and quick retries of calls that may be repeated."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay

T = TypeVar("T")

ENOUGH_DOUBLINGS = 64
"""Beyond this many steps every delay is the longest; the power itself would overflow."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow from `first` by `factor` up to `longest`, each shortened at random by up to `jitter` of itself.

    `attempts` counts the first one; those who count attempts, in rows or in memory, give up when it is reached.
    """

    first: timedelta = timedelta(seconds=2)
    factor: float = 4.0
    longest: timedelta = timedelta(minutes=15)
    jitter: float = 0.2
    attempts: int = 5

    def delay(self, attempt: int, random: Callable[[], float] = random.random) -> timedelta:
        """Return how long to wait after the given attempt, counted from 1, has failed."""
        steps = min(attempt - 1, ENOUGH_DOUBLINGS)
        full = min(self.first.total_seconds() * self.factor**steps, self.longest.total_seconds())
        return timedelta(seconds=full * (1 - self.jitter * random()))


def retrying(
    call: Callable[[], T],
    *,
    on: type[Exception] | tuple[type[Exception], ...],
    backoff: Backoff,
    within: timedelta,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Return what `call` returns, repeating it after the errors in `on`; at the end the last error is raised as it is.

    No repetition starts later than `within` after the first attempt. Only for calls that may be repeated.
    """
    attempts = Retrying(
        retry=retry_if_exception_type(on),
        wait=_wait(backoff),
        stop=stop_after_attempt(backoff.attempts) | stop_before_delay(within),
        sleep=sleep,
        reraise=True,
    )
    return attempts(call)


def _wait(backoff: Backoff) -> Callable[[RetryCallState], float]:
    return lambda state: backoff.delay(state.attempt_number).total_seconds()
