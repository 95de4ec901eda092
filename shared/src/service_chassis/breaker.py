"""A circuit breaker for threads and event loops, on pybreaker's states, storage, exclusions and listeners.

pybreaker's own `call` holds its lock while the protected call runs, and lets every thread probe at half-open. Here its
states are told how a call ended, under a lock that is held only to admit and to record. The failure rate, the single
probe and the clock are added.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum, auto
from functools import partial

from pybreaker import (
    STATE_CLOSED,
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitBreakerState,
    CircuitBreakerStorage,
    CircuitMemoryStorage,
)

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


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """After how many failures in a row something is left alone, and for how long."""

    failures: int = 5
    open_for: timedelta = timedelta(seconds=60)

    def at_most(self, open_for: timedelta) -> "BreakerRules":
        """Return the same rules, for what has to be tried again sooner."""
        return BreakerRules(self.failures, min(self.open_for, open_for))


USUAL = BreakerRules()


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


class CallFailed(Exception):
    """What the circuit is told of a call that was reported as failed."""


class Breaker:
    """Lets calls through until they keep failing, then none for a while, then one at a time to see.

    `counts` says which errors are failures of the other side; an error that does not count is an answer, hence a
    success. What ends a call without being an Exception, such as cancellation, is neither, unless it counts.
    `storage` keeps state, count and time of opening; `now` gives seconds, those of the epoch where a storage outlives
    the process.
    """

    def __init__(
        self,
        name: str,
        rules: BreakerRules = USUAL,
        *,
        counts: Callable[[BaseException], bool] = any_error,
        now: Callable[[], float] = time.monotonic,
        storage: CircuitBreakerStorage | None = None,
    ) -> None:
        self.name = name
        self._now = now
        self._lock = threading.Lock()
        self._storage = storage or CircuitMemoryStorage(STATE_CLOSED)
        self._era = 0
        self._probe_began: float | None = None
        self._recent = _Recent()
        self._circuit = CircuitBreaker(
            fail_max=rules.failures,
            reset_timeout=rules.open_for.total_seconds(),
            exclude=[lambda error: not (isinstance(error, CallFailed) or counts(error))],
            listeners=[_Changes(self._changed)],
            state_storage=self._storage,
            name=name,
        )

    def on_change(self, tell: Callable[[State], None]) -> None:
        """Call `tell` with each new state; it must return at once and not call this breaker."""
        self._circuit.add_listener(_Changes(tell))

    @property
    def state(self) -> State:
        """Return the state as metrics show it; half open is also an open breaker whose time is up."""
        with self._lock:
            state = _state(self._circuit.state)
            return State.HALF_OPEN if state is State.OPEN and self._open_seconds_left() <= 0 else state

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Guard a block, which may await; raises BreakerOpen instead of entering it.

        A deadline belongs inside the block: from outside it is a cancellation, which says nothing of the other side.
        """
        attempt = self.allow()
        try:
            yield attempt
        except BaseException as error:
            if self._circuit.is_system_error(error):
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
            if _state(self._circuit.state) is not State.CLOSED:
                self._admit_probe()
            return Attempt(partial(self._settle, self._era))

    def _admit_probe(self) -> None:
        if _state(self._circuit.state) is State.OPEN:
            if (left := self._open_seconds_left()) > 0:
                raise self._refusal(left)
            self._circuit.half_open()
        # A probe that never reports back is given up after the same time, or the breaker would stay open for ever.
        elif self._probe_began is not None and self._now() < self._probe_began + self._circuit.reset_timeout:
            raise self._refusal(PROBE_TAKES)
        self._probe_began = self._now()
        self._era += 1

    def _refusal(self, retry_after: float) -> BreakerOpen:
        return BreakerOpen(f"{self.name} has failed repeatedly and is left alone for a while.", retry_after=retry_after)

    def _open_seconds_left(self) -> float:
        opened_at = self._storage.opened_at
        return opened_at.timestamp() + self._circuit.reset_timeout - self._now() if opened_at else 0.0

    def _settle(self, era: int, outcome: Outcome) -> None:
        with self._lock:
            # Calls that began before the breaker last changed say nothing about the present state.
            if era != self._era:
                return
            if outcome is Outcome.ABANDONED:
                self._probe_began = None
                return
            failed = outcome is Outcome.FAILED
            self._recent.add(int(self._now()), failed=failed)
            self._tell_circuit(failed=failed)

    def _tell_circuit(self, *, failed: bool) -> None:
        state = self._circuit.state
        if not failed:
            state._handle_success()  # noqa: SLF001  # The only way into its states besides `call`.
            return
        # pybreaker raises when this failure opens the circuit.
        with suppress(CircuitBreakerError):
            state._handle_error(CallFailed(), reraise=False)  # noqa: SLF001  # As above.
            if self._recent.mostly_failures:
                self._circuit.open()

    def _changed(self, state: State) -> None:
        self._era += 1
        self._probe_began = None
        if state is State.OPEN:
            # pybreaker wrote the system's time, which tests do not move and which may be set back.
            self._storage.opened_at = datetime.fromtimestamp(self._now(), UTC)
        elif state is State.CLOSED:
            self._recent = _Recent()


class _Changes(CircuitBreakerListener):
    """Tells of changes of state, in our words."""

    def __init__(self, tell: Callable[[State], None]) -> None:
        self._tell = tell

    def state_change(self, _: CircuitBreaker, __: CircuitBreakerState | None, new_state: CircuitBreakerState) -> None:
        self._tell(_state(new_state))


def _state(state: CircuitBreakerState) -> State:
    return State(state.name.replace("-", "_"))


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
