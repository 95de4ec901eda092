"""What a service measures, on a registry of its own: several services live in one process."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from service_chassis.breaker import Breaker, State

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
JOB_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300)
OUTBOX_STATES = ("pending", "delayed", "unroutable")
FAILURE_STATES = ("retrying", "dead")
BREAKER_LEVELS = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class Metrics:
    """The metrics of one service; web and worker of one process share one instance."""

    def __init__(self, registry: CollectorRegistry, service: str) -> None:
        self.registry = registry
        Info("service", "The service these metrics belong to.", registry=registry).info({"name": service})
        self._requests = Counter(
            "http_requests_total", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "http_request_seconds",
            "Time to answer a request.",
            ["method", "route"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._published = Counter(
            "events_published_total", "Events given to the broker.", ["type", "outcome"], registry=registry
        )
        self._consumed = Counter("events_consumed_total", "Events taken in.", ["type", "outcome"], registry=registry)
        self._outbox = Gauge("outbox_pending", "Outbox rows not published yet.", ["state"], registry=registry)
        self._failed = Gauge("failed_messages", "Messages whose handling failed.", ["state"], registry=registry)
        self._depth = Gauge("queue_depth", "Messages waiting in the service's queue.", registry=registry)
        self._looked_up = Counter("cache_lookups_total", "Cache look-ups.", ["cache", "outcome"], registry=registry)
        self._feed_age = Gauge(
            "revocations_age_seconds", "Time since ended sessions were last asked for.", registry=registry
        )
        self._feed_age.set(math.nan)
        self._breakers = Gauge("breaker_state", "0 closed, 1 half open, 2 open.", ["breaker"], registry=registry)
        self._breaker_changes = Counter(
            "breaker_changes_total", "Changes into this state.", ["breaker", "state"], registry=registry
        )
        self._job_seconds = Histogram(
            "job_seconds", "Time a scheduled job took.", ["name"], buckets=JOB_SECONDS, registry=registry
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(method, route, status).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def published(self, event_type: str, outcome: str, events: int) -> None:
        """Count events the broker was given, and what it said."""
        self._published.labels(event_type, outcome).inc(events)

    def consumed(self, event_type: str, outcome: str, events: int) -> None:
        """Count events that were taken in, and what became of them."""
        self._consumed.labels(event_type, outcome).inc(events)

    def looked_up(self, cache: str, *, hit: bool) -> None:
        """Count a look-up in a cache."""
        self._looked_up.labels(cache, "hit" if hit else "miss").inc()

    def revocations(self, age: Callable[[], float]) -> None:
        """Show from now on how old what is known of ended sessions is; until then it is no number."""
        self._feed_age.set_function(age)

    def backlog(self, waiting: Mapping[str, int], failed: Mapping[str, int], depth: int | None) -> None:
        """Note what is left to do, by state; an unknown queue depth leaves the last known one."""
        for state in OUTBOX_STATES:
            self._outbox.labels(state).set(waiting.get(state, 0))
        for state in FAILURE_STATES:
            self._failed.labels(state).set(failed.get(state, 0))
        if depth is not None:
            self._depth.set(depth)

    def watch(self, breaker: Breaker) -> None:
        """Show the state of a breaker whenever the metrics are read, and count its changes."""
        self._breakers.labels(breaker.name).set_function(lambda: BREAKER_LEVELS[breaker.state])
        breaker.on_change(lambda state: self._breaker_changes.labels(breaker.name, state.value).inc())

    def job(self, name: str) -> AbstractContextManager[object]:
        """Measure the time of a scheduled job."""
        return self._job_seconds.labels(name).time()
