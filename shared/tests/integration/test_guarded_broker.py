"""The breaker in front of a broker: S4-24, C-40."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from service_chassis.breaker import USUAL, BreakerRules
from service_chassis.messaging.broker import Broker, BrokerUnavailable
from service_chassis.messaging.connect import connect
from service_chassis.messaging.guarded import PAUSE, GuardedBroker
from service_chassis.messaging.topology import consuming
from service_chassis.testing.plugin import only_rabbitmq
from service_chassis.testing.proxy import Proxy

QUEUE = "trial.events"


@pytest.fixture
def proxy(broker_url: str) -> Iterator[Proxy]:
    with Proxy(broker_url) as proxy:
        yield proxy


@pytest.fixture
def behind(proxy: Proxy) -> Iterator[Broker]:
    broker = connect(proxy.url, name="tests")
    yield broker
    broker.close()


@pytest.fixture
def seconds() -> list[float]:
    return [0.0]


@pytest.fixture
def guarded(behind: Broker, seconds: list[float]) -> GuardedBroker:
    return GuardedBroker(behind, USUAL, now=lambda: seconds[0])


def fail(guarded: GuardedBroker) -> str:
    with pytest.raises(BrokerUnavailable) as raised:
        guarded.depth(QUEUE)
    return raised.value.message


@only_rabbitmq
def test_a_broker_that_failed_five_times_is_left_alone_and_tried_again_after_a_pause(
    guarded: GuardedBroker, proxy: Proxy, seconds: list[float]
) -> None:
    guarded.declare(consuming(QUEUE, []))
    proxy.cut()
    assert all("not reachable" in fail(guarded) for _ in range(5))
    assert guarded.breaker.state == "open"

    assert "left alone" in fail(guarded)
    proxy.restore()
    assert "left alone" in fail(guarded)
    seconds[0] += PAUSE.total_seconds()

    assert guarded.depth(QUEUE) == 0
    assert guarded.breaker.state == "closed"


def test_a_broker_is_left_alone_for_the_pause_at_most_because_every_event_waits_for_it(broker: Broker) -> None:
    rules = [BreakerRules(open_for=timedelta(seconds=seconds)).at_most(PAUSE) for seconds in (60, 1)]

    assert [each.open_for for each in rules] == [PAUSE, timedelta(seconds=1)]
