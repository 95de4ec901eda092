"""What the gateway measures beside its own requests: the services behind it, as seen from here."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service_chassis.breaker import Breaker, State
from service_chassis.metrics import REQUEST_SECONDS

LEVELS = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


class UpstreamMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "gateway_upstream_seconds",
            "Time until a service's answer began, or was there if it is short.",
            ["service", "outcome"],
            buckets=REQUEST_SECONDS,
            registry=registry,
        )
        self._repeats = Counter(
            "gateway_upstream_retries_total", "Requests sent to a service once more.", ["service"], registry=registry
        )
        self._breakers = Gauge(
            "gateway_breaker_state", "0 closed, 1 half open, 2 open.", ["service"], registry=registry
        )
        self._breaker_changes = Counter(
            "gateway_breaker_changes_total", "Changes into this state.", ["service", "state"], registry=registry
        )
        self._feed_age = Gauge(
            "gateway_revocations_age_seconds", "Time since ended sessions were last asked for.", registry=registry
        )

    def watch(self, breaker: Breaker) -> None:
        """Show the state of a service's breaker whenever the metrics are read, and count its changes."""
        self._breakers.labels(breaker.name).set_function(lambda: LEVELS[breaker.state])
        breaker.on_change(lambda state: self._breaker_changes.labels(breaker.name, state.value).inc())

    def watch_feed(self, age: Callable[[], float]) -> None:
        """Show how old what is known of ended sessions is, whenever the metrics are read."""
        self._feed_age.set_function(age)

    def exchanged(self, service: str, outcome: str, seconds: float) -> None:
        """Note how an attempt went: the class of the status, or the code of the error."""
        self._seconds.labels(service, outcome).observe(seconds)

    def repeated(self, service: str) -> None:
        self._repeats.labels(service).inc()
