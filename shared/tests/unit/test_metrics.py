from prometheus_client import REGISTRY, CollectorRegistry

from service_chassis.metrics import Metrics


def test_metrics_say_which_service_they_belong_to() -> None:
    registry = CollectorRegistry()

    Metrics(registry, "trial")

    assert registry.get_sample_value("service_info", {"name": "trial"}) == 1


def test_two_services_of_one_process_count_apart_and_not_on_the_default_registry() -> None:
    one, other = CollectorRegistry(), CollectorRegistry()
    before = list(REGISTRY.collect())

    Metrics(one, "one").answered("GET", "/", 200, 0.1)
    Metrics(other, "other")

    labels = {"method": "GET", "route": "/", "status": "200"}
    assert one.get_sample_value("http_requests_total", labels) == 1
    assert other.get_sample_value("http_requests_total", labels) is None
    assert len(list(REGISTRY.collect())) == len(before)


def test_events_are_counted_by_type_and_outcome() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, "trial")

    metrics.published("bell.rung.v1", "confirmed", 500)
    metrics.consumed("bell.rung.v1", "handled", 2)
    metrics.consumed("bell.rung.v1", "handled", 3)

    published = {"type": "bell.rung.v1", "outcome": "confirmed"}
    consumed = {"type": "bell.rung.v1", "outcome": "handled"}
    assert registry.get_sample_value("events_published_total", published) == 500
    assert registry.get_sample_value("events_consumed_total", consumed) == 5


def test_a_backlog_that_is_gone_counts_as_none() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, "trial")

    metrics.backlog({"pending": 3, "unroutable": 1}, {"dead": 2}, 7)
    metrics.backlog({"unroutable": 1}, {}, None)

    assert registry.get_sample_value("outbox_pending", {"state": "pending"}) == 0
    assert registry.get_sample_value("outbox_pending", {"state": "unroutable"}) == 1
    assert registry.get_sample_value("failed_messages", {"state": "dead"}) == 0
    assert registry.get_sample_value("queue_depth") == 7


def test_jobs_are_timed() -> None:
    registry = CollectorRegistry()

    with Metrics(registry, "trial").job("keys.rotate"):
        pass

    assert registry.get_sample_value("job_seconds_count", {"name": "keys.rotate"}) == 1
