"""What the gateway measures beside its own requests: the services behind it, as seen from here."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service_chassis.metrics import REQUEST_SECONDS


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
        self._feed_age = Gauge(
            "gateway_revocations_age_seconds", "Time since ended sessions were last asked for.", registry=registry
        )

    def watch_feed(self, age: Callable[[], float]) -> None:
        """Show how old what is known of ended sessions is, whenever the metrics are read."""
        self._feed_age.set_function(age)

    def exchanged(self, service: str, outcome: str, seconds: float) -> None:
        """Note how an attempt went: the class of the status, or the code of the error."""
        self._seconds.labels(service, outcome).observe(seconds)

    def repeated(self, service: str) -> None:
        self._repeats.labels(service).inc()
