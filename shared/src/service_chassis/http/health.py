"""What works and what does not: for probes, which want yes or no, and for people, who want to know what."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select

from service_chassis.breaker import State
from service_chassis.errors import ServiceError, Unavailable
from service_chassis.messaging import outbox
from service_chassis.messaging.tables import heartbeats
from service_chassis.metrics import BREAKER_LEVELS
from service_chassis.unit_of_work import UnitOfWork, Units

STALE_AFTER = timedelta(seconds=30)
"""How long a worker or its broker may be silent; a worker beats every 5 s."""
HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
LAGGING_AFTER = timedelta(minutes=1)


class NotReady(Unavailable):
    """The service is not ready."""

    code = "not_ready"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at: `problem` says what is wrong with it, or None. What is required, nothing works without."""

    name: str
    problem: Callable[[], str | None]
    required: bool = True

    def result(self) -> "Result":
        try:
            return Result(self.problem(), required=self.required)
        except ServiceError as error:
            return Result(error.message, required=self.required)


@dataclass(frozen=True, slots=True)
class Result:
    problem: str | None
    required: bool = False
    details: Mapping[str, Any] | None = None

    def shown(self) -> dict[str, Any]:
        return {"status": "down" if self.problem else "up", "problem": self.problem, **(self.details or {})}


def database_check(units: Units[Any]) -> Check:
    """Return the check that makes one round trip to the service's own database."""

    def problem() -> None:
        units.database.check()

    return Check("database", problem)


def problems(checks: Iterable[Check]) -> dict[str, list[str]]:
    """Return what keeps the service from answering requests, by check."""
    results = {check.name: check.result() for check in checks if check.required}
    return {name: [result.problem] for name, result in results.items() if result.problem}


def examine(units: Units[Any], checks: Sequence[Check]) -> dict[str, Result]:
    """Look at everything: database, `checks`, what the workers report of the broker, and how far behind they are."""
    results = {check.name: check.result() for check in (database_check(units), *checks)}
    if results["database"].problem is None:
        with units.read() as uow:
            results |= _workers(uow)
    return results


def overall(results: Mapping[str, Result]) -> str:
    """Return one word: unhealthy when requests cannot be answered, degraded when something else is wrong."""
    failing = [result for result in results.values() if result.problem]
    if any(result.required for result in failing):
        return UNHEALTHY
    return DEGRADED if failing else HEALTHY


def _workers(uow: UnitOfWork) -> dict[str, Result]:
    alive = uow.session.execute(select(heartbeats).where(heartbeats.c.beat_at > uow.now - STALE_AFTER)).all()
    return {"broker": _broker(alive, uow.now), "lag": _lag(alive, outbox.oldest_pending(uow.session), uow.now)}


def _broker(workers: Sequence[Row[Any]], now: datetime) -> Result:
    seen = max((worker.broker_at for worker in workers if worker.broker_at), default=None)
    details = {"last_seen_at": seen, "breaker": _worst(worker.broker_state for worker in workers)}
    if not workers:
        return Result("No worker is running.", details=details)
    if seen is None or seen < now - STALE_AFTER:
        return Result("No worker reaches the broker.", details=details)
    return Result(None, details=details)


def _worst(states: Iterable[str | None]) -> str | None:
    """Return the state of the breaker that is furthest from closed."""
    return max((state for state in states if state), key=lambda state: BREAKER_LEVELS[State(state)], default=None)


def _lag(workers: Sequence[Row[Any]], oldest: datetime | None, now: datetime) -> Result:
    lag = now - oldest if oldest else timedelta(0)
    depth = max((worker.queue_depth for worker in workers if worker.queue_depth is not None), default=None)
    late = "Events wait to be published." if lag > LAGGING_AFTER else None
    return Result(late, details={"seconds": max(0.0, lag.total_seconds()), "queue_depth": depth})
