"""How a broker hands out messages, whichever it is."""

import threading
from contextlib import closing
from dataclasses import replace
from itertools import chain

import pytest

from service_chassis.messaging.broker import Broker, BrokerUnavailable
from service_chassis.messaging.connect import connect
from service_chassis.testing.conformance.broker import (
    QUEUE,
    SAMPLE,
    BrokerSuite,
    Subscribe,
    ids,
    message,
    messages,
    pieces,
    taken,
)
from service_chassis.testing.waiting import wait_until


class ConsumingConformance(BrokerSuite):
    """What a subscription hands out, and what comes back."""

    def test_what_was_taken_and_not_acknowledged_comes_back_in_order_when_the_subscription_ends(
        self, broker: Broker, subscribe: Subscribe
    ) -> None:
        broker.declare(SAMPLE)
        broker.publish(messages(10))
        hold = subscribe()
        taken(hold, 10)

        hold.close()

        assert ids(taken(subscribe(), 10)) == ids(messages(10))

    def test_a_message_arrives_with_the_correlation_id_its_producer_gave_it(
        self, broker: Broker, subscribe: Subscribe
    ) -> None:
        """S4-19."""
        broker.declare(SAMPLE)
        broker.publish([replace(message(0), correlation_id="order-7"), message(1)])

        first, second = taken(subscribe(), 2)

        assert (first.correlation_id, second.correlation_id) == ("order-7", "")

    def test_what_was_acknowledged_does_not_come_back(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        broker.publish(messages(10))
        hold = subscribe()
        deliveries = taken(hold, 10)

        hold.acknowledge(deliveries[:4])
        hold.close()

        assert ids(taken(subscribe(), 6)) == ids(messages(10)[4:])

    def test_acknowledging_lets_go_of_everything_taken_before(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        broker.publish(messages(10))
        hold = subscribe()
        first, second = taken(hold, 2, limit=2), taken(hold, 2, limit=2)
        done = len(first + second)

        hold.acknowledge(second)
        hold.close()

        assert ids(taken(subscribe(), 10 - done)) == ids(messages(10)[done:])

    def test_the_limit_counts_events_and_what_did_not_fit_comes_next(
        self, broker: Broker, subscribe: Subscribe
    ) -> None:
        broker.declare(SAMPLE)
        broker.publish([message(number, events=3) for number in range(12)])

        found = pieces(subscribe(), 12, limit=7)

        assert max(sum(delivery.events for delivery in piece) for piece in found) == 6
        assert ids(chain.from_iterable(found)) == ids(messages(12))

    def test_a_message_larger_than_the_limit_is_taken_by_itself(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        broker.publish([message(1, events=50), message(2)])
        hold = subscribe()

        first = hold.take(10, timeout=5)

        assert ids(first) == ["message-1"]

    def test_taking_waits_for_a_message_that_comes_later(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        hold = subscribe()
        publishing = threading.Timer(0.2, lambda: broker.publish([message(1)]))
        publishing.start()

        deliveries = hold.take(500, timeout=10)

        publishing.join()
        assert ids(deliveries) == ["message-1"]

    def test_taking_from_an_empty_queue_ends_with_nothing(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)

        assert subscribe().take(500, timeout=0.05) == []

    def test_depth_counts_the_messages_that_wait(self, broker: Broker) -> None:
        broker.declare(SAMPLE)

        broker.publish(messages(3))

        assert wait_until(lambda: broker.depth(QUEUE)) == 3

    def test_a_queue_that_is_not_declared_cannot_be_used(self, broker: Broker) -> None:
        with pytest.raises(BrokerUnavailable):
            broker.subscribe("nobody.events")
        with pytest.raises(BrokerUnavailable):
            broker.depth("nobody.events")

    def test_an_ended_subscription_hands_out_nothing_more(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        broker.publish([message(1)])
        hold = subscribe()
        hold.close()

        with pytest.raises(BrokerUnavailable):
            hold.take(500, timeout=1)

        assert ids(taken(subscribe(), 1)) == ["message-1"]

    def test_two_subscriptions_lose_nothing_when_one_ends(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        broker.publish(messages(50))
        first, second = subscribe(), subscribe()
        handled = taken(first, 10, limit=10)
        first.acknowledge(handled)
        first.take(10, timeout=0.1)

        first.close()

        rest = taken(second, 50 - len(handled))
        assert sorted(ids(handled) + ids(rest)) == sorted(ids(messages(50)))

    def test_messages_outlive_the_broker_object_that_published_them(self, broker: Broker, broker_url: str) -> None:
        broker.declare(SAMPLE)
        broker.publish([message(1)])
        broker.close()

        other = connect(broker_url, name="other")

        with closing(other), closing(other.subscribe(QUEUE)) as hold:
            assert ids(taken(hold, 1)) == ["message-1"]
