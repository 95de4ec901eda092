"""How a broker behaves, whichever it is."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import chain

import pytest

from service_chassis.messaging.broker import Broker, BrokerUnavailable, Delivery, Message, Outcome, Subscription
from service_chassis.messaging.connect import connect
from service_chassis.messaging.topology import Binding, Exchange, Queue, Topology, consuming
from service_chassis.testing.waiting import wait_until

EXCHANGE = "sample.events"
QUEUE = "sample-service.events"
KEY = "sample.happened.v1"
SAMPLE = consuming(QUEUE, [(EXCHANGE, KEY)])


Subscribe = Callable[[], Subscription]


def message(number: int, *, key: str = KEY, exchange: str = EXCHANGE, events: int = 1, body: bytes = b"") -> Message:
    """Return a message that is told from others by its number."""
    return Message(
        message_id=f"message-{number}",
        exchange=exchange,
        routing_key=key,
        content_type="application/json",
        body=body or f"body {number}".encode(),
        events=events,
    )


def messages(count: int) -> list[Message]:
    return [message(number) for number in range(count)]


def ids(many: Iterable[Message | Delivery]) -> list[str]:
    return [one.message_id for one in many]


def taken(hold: Subscription, count: int, *, limit: int = 500) -> list[Delivery]:
    """Take until `count` messages are there, because they may come in several pieces."""
    return list(chain.from_iterable(pieces(hold, count, limit=limit)))


def pieces(hold: Subscription, count: int, *, limit: int = 500) -> list[list[Delivery]]:
    """Return what each `take` handed out until `count` messages were there."""
    found: list[list[Delivery]] = []

    def enough() -> bool:
        found.append(hold.take(limit, timeout=0.05))
        return sum(map(len, found)) >= count

    wait_until(enough)
    return found


def bound(key: str, queue: str = QUEUE) -> Topology:
    """Return a topology of one queue bound with one key."""
    return Topology((Exchange(EXCHANGE),), (Queue(queue),), (Binding(EXCHANGE, queue, key),))


class _Conformance:
    @pytest.fixture
    def subscribe(self, broker: Broker) -> Iterator[Subscribe]:
        """Subscribes to the queue until the end of the test."""
        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(broker.subscribe(QUEUE)))


class PublishingConformance(_Conformance):
    """What becomes of a message that is published."""

    def test_a_message_reaches_the_queue_as_it_was_published(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)

        outcomes = broker.publish([message(1, events=3, body=b"\x00 any bytes \xff")])

        assert outcomes == [Outcome.CONFIRMED]
        (delivery,) = taken(subscribe(), 1)
        assert (delivery.message_id, delivery.exchange, delivery.routing_key) == ("message-1", EXCHANGE, KEY)
        assert (delivery.content_type, delivery.events) == ("application/json", 3)
        assert delivery.body == b"\x00 any bytes \xff"

    def test_a_message_no_queue_is_bound_for_is_unroutable_and_the_others_arrive(
        self, broker: Broker, subscribe: Subscribe
    ) -> None:
        broker.declare(SAMPLE)

        outcomes = broker.publish([message(1), message(2, key="sample.unknown.v1"), message(3)])

        assert outcomes == [Outcome.CONFIRMED, Outcome.UNROUTABLE, Outcome.CONFIRMED]
        assert ids(taken(subscribe(), 2)) == ["message-1", "message-3"]

    def test_a_message_to_an_unknown_exchange_is_reported_and_the_others_arrive(
        self, broker: Broker, subscribe: Subscribe
    ) -> None:
        broker.declare(SAMPLE)

        outcomes = broker.publish([message(1), message(2, exchange="nobody.events"), message(3)])
        again = [message(n) for n, outcome in ((1, outcomes[0]), (3, outcomes[2])) if outcome is Outcome.UNKNOWN]
        repeated = broker.publish(again)

        assert outcomes[1] in {Outcome.UNROUTABLE, Outcome.REFUSED}
        assert set(repeated) <= {Outcome.CONFIRMED}
        assert set(ids(taken(subscribe(), 2))) == {"message-1", "message-3"}

    def test_messages_to_nowhere_do_not_keep_the_next_ones_from_arriving(self, broker: Broker) -> None:
        broker.declare(SAMPLE)
        broker.publish([message(number, exchange="nobody.events") for number in range(20)])

        outcomes = broker.publish([message(21)])

        assert outcomes == [Outcome.CONFIRMED]

    def test_publishing_nothing_is_no_message(self, broker: Broker) -> None:
        assert broker.publish([]) == []

    def test_a_large_batch_arrives_complete_and_in_order(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        many = [message(number, body=bytes(1_000)) for number in range(2_000)]

        outcomes = broker.publish(many, timeout=30)

        assert outcomes == [Outcome.CONFIRMED] * 2_000
        hold = subscribe()
        arrived: list[Delivery] = []
        while len(arrived) < 2_000:
            arrived += (deliveries := taken(hold, 1))
            hold.acknowledge(deliveries)
        assert ids(arrived) == ids(many)

    def test_a_large_message_arrives_whole(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        body = bytes(range(256)) * 8_000

        broker.publish([message(1, body=body)])

        (delivery,) = taken(subscribe(), 1)
        assert delivery.body == body


class RoutingConformance(_Conformance):
    """Which queues a message reaches."""

    def test_declaring_again_keeps_what_is_in_the_queue(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        broker.publish([message(1)])

        broker.declare(SAMPLE)

        assert ids(taken(subscribe(), 1)) == ["message-1"]

    def test_a_binding_counts_from_the_moment_it_is_declared_by_whomever(self, broker: Broker, broker_url: str) -> None:
        broker.declare(Topology(exchanges=(Exchange(EXCHANGE),)))
        assert broker.publish([message(1)]) == [Outcome.UNROUTABLE]
        other = connect(broker_url, name="other")

        other.declare(SAMPLE)

        assert broker.publish([message(2)]) == [Outcome.CONFIRMED]
        other.close()

    @pytest.mark.parametrize(
        ("pattern", "key", "matches"),
        [
            ("sample.happened.v1", "sample.happened.v1", True),
            ("sample.happened.v1", "sample.happened.v2", False),
            ("sample.*.v1", "sample.happened.v1", True),
            ("sample.*.v1", "sample.v1", False),
            ("sample.*.v1", "sample.has.happened.v1", False),
            ("sample.#", "sample.happened.v1", True),
            ("sample.#", "sample", True),
            ("#.v1", "v1", True),
            ("#.v1", "sample.happened.v1", True),
            ("sample.#.v1", "sample.v1", True),
            ("#.#.v1", "v1", True),
            ("#", "anything.at.all", True),
            ("*", "two.words", False),
        ],
    )
    def test_a_pattern_matches_by_word(self, broker: Broker, pattern: str, key: str, *, matches: bool) -> None:
        broker.declare(bound(pattern))

        outcomes = broker.publish([message(1, key=key)])

        assert outcomes == [Outcome.CONFIRMED if matches else Outcome.UNROUTABLE]

    def test_each_bound_queue_gets_a_message_once_however_many_bindings_match(self, broker: Broker) -> None:
        broker.declare(bound("sample.#") + bound("#.v1") + bound(KEY, queue="other-service.events"))

        broker.publish([message(1)])

        assert broker.depth(QUEUE) == 1
        assert broker.depth("other-service.events") == 1

    def test_a_direct_exchange_routes_by_the_exact_key(self, broker: Broker) -> None:
        broker.declare(
            Topology(
                (Exchange("sample.direct", "direct"),),
                (Queue("sample.queue", "classic"),),
                (Binding("sample.direct", "sample.queue", "email"),),
            )
        )

        outcomes = broker.publish(
            [message(n, exchange="sample.direct", key=key) for n, key in enumerate(("email", "push"))]
        )

        assert outcomes == [Outcome.CONFIRMED, Outcome.UNROUTABLE]


class ConsumingConformance(_Conformance):
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


class BrokerConformance(PublishingConformance, RoutingConformance, ConsumingConformance):
    """All that services rely on."""
