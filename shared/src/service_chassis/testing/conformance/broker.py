"""How a broker behaves, whichever it is."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import chain

import pytest

from service_chassis.messaging.broker import Broker, Delivery, Message, Outcome, Subscription
from service_chassis.messaging.connect import connect
from service_chassis.messaging.topology import Binding, Exchange, Queue, Topology, consuming, dead_queue
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


class BrokerSuite:
    @pytest.fixture
    def subscribe(self, broker: Broker) -> Iterator[Subscribe]:
        """Subscribes to the queue until the end of the test."""
        with ExitStack() as stack:
            yield lambda: stack.enter_context(closing(broker.subscribe(QUEUE)))


class PublishingConformance(BrokerSuite):
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


class RoutingConformance(BrokerSuite):
    """Which queues a message reaches."""

    def test_declaring_again_keeps_what_is_in_the_queue(self, broker: Broker, subscribe: Subscribe) -> None:
        broker.declare(SAMPLE)
        broker.publish([message(1)])

        broker.declare(SAMPLE)

        assert ids(taken(subscribe(), 1)) == ["message-1"]

    def test_declaring_tells_which_queues_were_not_there(self, broker: Broker) -> None:
        assert broker.declare(SAMPLE) == {QUEUE, dead_queue(QUEUE)}
        assert broker.declare(SAMPLE) == frozenset()

        assert broker.declare(SAMPLE + bound(KEY, queue="other-service.events")) == {"other-service.events"}

    def test_a_queue_that_was_deleted_is_told_to_be_new_again(self, broker: Broker) -> None:
        broker.declare(SAMPLE)
        broker.delete(Topology(queues=(Queue(QUEUE),)))  # type: ignore[attr-defined]  # Both adapters have it.

        assert broker.declare(SAMPLE) == {QUEUE}

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
