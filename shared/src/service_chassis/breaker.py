"""A circuit breaker for threads and event loops; its lock is never held while a protected call runs."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum, auto
from functools import partial

from service_chassis.errors import Unavailable

RATE_SECONDS = 10
RATE_CALLS = 20
RATE_SHARE = 0.5
"""Beside consecutive failures, half of at least twenty calls within ten seconds open the breaker."""
PROBE_TAKES = 1.0
"""Seconds after which it makes sense to come again while a probe is under way."""


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerOpen(Unavailable):
    """Something this needs has failed repeatedly and is left alone for a while."""

    code = "circuit_open"


class Outcome(Enum):
    SUCCEEDED = auto()
    FAILED = auto()
    ABANDONED = auto()


class Attempt:
    """One admitted call; the first outcome reported is the one that counts."""

    def __init__(self, report: Callable[[Outcome], None]) -> None:
        self._report: Callable[[Outcome], None] | None = report

    def succeeded(self) -> None:
        self._end(Outcome.SUCCEEDED)

    def failed(self) -> None:
        self._end(Outcome.FAILED)

    def abandoned(self) -> None:
        """Say that the call ended without telling anything about the other side."""
        self._end(Outcome.ABANDONED)

    def _end(self, outcome: Outcome) -> None:
        report, self._report = self._report, None
        if report is not None:
            report(outcome)


def any_error(error: BaseException) -> bool:
    """Count every error, but neither cancellation nor the end of the process."""
    return isinstance(error, Exception)


class Breaker:
    """Lets calls through until they keep failing, then none for a while, then one at a time to see.

    `counts` says which errors are failures of the other side; an error that does not count is an answer, hence a
    success. What ends a call without being an Exception, such as cancellation, is neither, unless it counts.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 5,
        open_for: timedelta = timedelta(seconds=60),
        counts: Callable[[BaseException], bool] = any_error,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._failures = failures
        self._open_for = open_for.total_seconds()
        self._counts = counts
        self._now = now
        self._lock = threading.Lock()
        self._era = 0
        self._probing = False
        self._probe_at: float | None = None
        self._consecutive = 0
        self._recent = _Recent()

    @property
    def state(self) -> State:
        """Return the state as metrics show it; half open is also an open breaker whose time is up."""
        with self._lock:
            if self._probe_at is None:
                return State.CLOSED
            return State.HALF_OPEN if self._probing or self._now() >= self._probe_at else State.OPEN

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Guard a block, which may await; raises BreakerOpen instead of entering it.

        A deadline belongs inside the block: from outside it is a cancellation, which says nothing of the other side.
        """
        attempt = self.allow()
        try:
            yield attempt
        except BaseException as error:
            if self._counts(error):
                attempt.failed()
            elif isinstance(error, Exception):
                attempt.succeeded()
            else:
                attempt.abandoned()
            raise
        attempt.succeeded()

    def allow(self) -> Attempt:
        """Admit one call, whose outcome must be reported; raises BreakerOpen."""
        with self._lock:
            if self._probe_at is not None:
                self._admit_probe(self._probe_at)
            return Attempt(partial(self._settle, self._era))

    def _admit_probe(self, probe_at: float) -> None:
        now = self._now()
        if now < probe_at:
            raise BreakerOpen(
                f"{self.name} has failed repeatedly and is left alone for a while.",
                retry_after=PROBE_TAKES if self._probing else probe_at - now,
            )
        # A probe that never reports back is given up after the same time, or the breaker would stay open for ever.
        self._turn(probe_at=now + self._open_for, probing=True)

    def _settle(self, era: int, outcome: Outcome) -> None:
        with self._lock:
            # Calls that began before the breaker last changed say nothing about the present state.
            if era != self._era:
                return
            if self._probing:
                self._probed(outcome)
            elif outcome is not Outcome.ABANDONED:
                self._record(failed=outcome is Outcome.FAILED)

    def _probed(self, outcome: Outcome) -> None:
        if outcome is Outcome.SUCCEEDED:
            self._turn(probe_at=None)
            self._consecutive = 0
            self._recent = _Recent()
        else:
            self._turn(probe_at=self._now() + (self._open_for if outcome is Outcome.FAILED else 0))

    def _record(self, *, failed: bool) -> None:
        now = self._now()
        self._recent.add(int(now), failed=failed)
        self._consecutive = self._consecutive + 1 if failed else 0
        if self._consecutive >= self._failures or (failed and self._recent.mostly_failures):
            self._turn(probe_at=now + self._open_for)

    def _turn(self, *, probe_at: float | None, probing: bool = False) -> None:
        self._probe_at = probe_at
        self._probing = probing
        self._era += 1


@dataclass(slots=True)
class _Second:
    at: int
    calls: int = 0
    failures: int = 0


class _Recent:
    """How the calls of the last seconds went, counted by second so that it stays small under any load."""

    def __init__(self) -> None:
        self._seconds: deque[_Second] = deque()

    def add(self, at: int, *, failed: bool) -> None:
        while self._seconds and self._seconds[0].at <= at - RATE_SECONDS:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1].at != at:
            self._seconds.append(_Second(at))
        self._seconds[-1].calls += 1
        self._seconds[-1].failures += failed

    @property
    def mostly_failures(self) -> bool:
        calls = sum(second.calls for second in self._seconds)
        return calls >= RATE_CALLS and sum(second.failures for second in self._seconds) >= RATE_SHARE * calls
