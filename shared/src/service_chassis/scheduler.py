"""Jobs that run every so often, on one active scheduler per service."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from service_chassis import correlation
from service_chassis.database import Lock
from service_chassis.errors import Unavailable
from service_chassis.logs import Log
from service_chassis.metrics import Metrics
from service_chassis.unit_of_work import Units

LOOK_EVERY = 1.0
"""Seconds after which a scheduler looks at its lock and at the stop event at the latest."""

AGAIN_AFTER = timedelta(seconds=5)
"""How soon a job runs again that could not, because a server was away or somebody else was in its way."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work to be done every `interval`; `run` says True when there is more to do at once."""

    name: str
    interval: timedelta
    run: Callable[[], bool | None]


def every(
    interval: timedelta,
    function: Callable[[Any], bool | None],
    *,
    name: str = "",
    when: Callable[[Any], bool] | None = None,
) -> "UnitJob":
    """Run a function of the unit of work, in a transaction of its own, every `interval` and as long as it says True.

    With `when`, a unit that only reads is asked first, so that a job with nothing to do writes nothing.
    """
    return UnitJob(name or f"{function.__module__.rpartition('.')[2]}.{function.__name__}", interval, function, when)


@dataclass(frozen=True, slots=True)
class UnitJob:
    name: str
    interval: timedelta
    function: Callable[[Any], bool | None]
    when: Callable[[Any], bool] | None = None

    def bound(self, units: Units[Any]) -> Job:
        """Return the job with the units of work it runs in."""

        def run() -> bool | None:
            if self.when is not None:
                with units.read() as uow:
                    if not self.when(uow):
                        return False
            with units.write() as uow:
                return self.function(uow)

        return Job(self.name, self.interval, run)


@dataclass(slots=True)
class _Turn:
    """When a job runs next, and under which ids when that goes on with what it has begun."""

    job: Job
    at: float
    ids: correlation.Correlation | None = None


class Scheduler:
    """Runs the jobs of one service; of several replicas, the holder of the lock does."""

    def __init__(self, jobs: Sequence[Job], lock: Lock, *, log: Log, metrics: Metrics, stop: threading.Event) -> None:
        self._jobs = jobs
        self._lock = lock
        self._log = log
        self._metrics = metrics
        self._stop = stop
        self.active = False

    def run(self, tick: Callable[[], None]) -> None:
        """Run what is due until stopped."""
        turns = [_Turn(job, time.monotonic()) for job in self._jobs]
        try:
            while not self._stop.is_set():
                tick()
                self.active = self._lock.acquire()
                if self.active:
                    self._run_due(turns, tick)
                self._stop.wait(_until_next(turns) if self.active else LOOK_EVERY)
        finally:
            self.active = False
            self._lock.release()

    def _run_due(self, turns: Sequence[_Turn], tick: Callable[[], None]) -> None:
        for turn in turns:
            if self._stop.is_set():
                return
            if time.monotonic() >= turn.at:
                self._run(turn)
                tick()

    def _run(self, turn: _Turn) -> None:
        job, wait = turn.job, turn.job.interval
        turn.ids = turn.ids or correlation.fresh()
        more = False
        with correlation.correlated(turn.ids), self._metrics.job(job.name):
            try:
                more = bool(job.run())
            except Unavailable as error:
                self._log.warning("job_postponed", job=job.name, error=str(error.__cause__ or error))
                wait = min(wait, AGAIN_AFTER)
            except Exception:  # noqa: BLE001  # One failing job must not end the others; it runs again when due.
                self._log.exception("job_failed", job=job.name)
        turn.at = time.monotonic() + (0 if more else wait.total_seconds())
        if not more:
            turn.ids = None


def _until_next(turns: Sequence[_Turn]) -> float:
    return max(0.0, min(LOOK_EVERY, min((turn.at for turn in turns), default=math.inf) - time.monotonic()))
