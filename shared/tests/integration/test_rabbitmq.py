import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pika
import pytest

from service_chassis.messaging import rabbitmq
from service_chassis.messaging.broker import Broker, BrokerUnavailable, Outcome
from service_chassis.messaging.connect import connect
from service_chassis.messaging.rabbitmq import RabbitMQ
from service_chassis.messaging.topology import DELIVERY_LIMIT, Binding, Exchange, Queue, Topology, dead_queue
from service_chassis.testing.conformance.broker import (
    EXCHANGE,
    KEY,
    QUEUE,
    SAMPLE,
    ids,
    message,
    messages,
    taken,
)
from service_chassis.testing.plugin import only_rabbitmq
from service_chassis.testing.proxy import Proxy
from service_chassis.testing.waiting import wait_until

pytestmark = [only_rabbitmq, pytest.mark.serial]


@pytest.fixture
def proxy(broker_url: str) -> Iterator[Proxy]:
    with Proxy(broker_url) as proxy:
        yield proxy


@pytest.fixture
def distant(proxy: Proxy) -> Iterator[Broker]:
    """The broker as it is reached through the proxy."""
    broker = connect(proxy.url, name="distant")
    yield broker
    proxy.release()
    broker.close()


class TestABrokerThatIsAway:
    def test_everything_says_so_and_works_again_when_it_is_back(self, distant: Broker, proxy: Proxy) -> None:
        distant.declare(SAMPLE)
        distant.publish([message(1)])
        proxy.cut()

        with pytest.raises(BrokerUnavailable):
            distant.declare(SAMPLE)
        with pytest.raises(BrokerUnavailable):
            distant.subscribe(QUEUE)
        with pytest.raises(BrokerUnavailable):
            distant.depth(QUEUE)
        with pytest.raises(BrokerUnavailable):
            wait_until(lambda: distant.publish([message(2)]) is None)

        proxy.restore()
        assert distant.publish([message(3)]) == [Outcome.CONFIRMED]
        with closing(distant.subscribe(QUEUE)) as hold:
            assert ids(taken(hold, 2)) == ["message-1", "message-3"]

    def test_a_subscription_whose_connection_is_lost_says_so(self, distant: Broker, proxy: Proxy) -> None:
        distant.declare(SAMPLE)
        hold = distant.subscribe(QUEUE)
        distant.publish([message(1)])
        deliveries = taken(hold, 1)

        proxy.drop()

        with pytest.raises(BrokerUnavailable):
            wait_until(lambda: hold.take(500, timeout=0.05))
        with pytest.raises(BrokerUnavailable):
            hold.acknowledge(deliveries)
        hold.close()
        with closing(distant.subscribe(QUEUE)) as again:
            assert ids(taken(again, 1)) == ["message-1"]

    def test_a_subscription_whose_queue_is_deleted_says_so(self, broker: RabbitMQ) -> None:
        broker.declare(SAMPLE)
        with closing(broker.subscribe(QUEUE)) as hold:
            broker.delete(Topology(queues=(Queue(QUEUE),)))

            with pytest.raises(BrokerUnavailable, match="cancelled"):
                wait_until(lambda: hold.take(500, timeout=0.05))

    def test_messages_in_flight_when_the_connection_is_lost_are_reported_as_unknown(
        self, distant: Broker, proxy: Proxy
    ) -> None:
        distant.declare(SAMPLE)
        distant.publish([message(0)])
        proxy.hold()
        cut = threading.Timer(0.2, proxy.drop)
        cut.start()

        outcomes = distant.publish(messages(3))

        cut.join()
        assert outcomes == [Outcome.UNKNOWN] * 3
        proxy.release()
        assert distant.publish(messages(3)) == [Outcome.CONFIRMED] * 3

    def test_a_broker_that_hangs_ends_the_wait_at_its_deadline_and_late_answers_harm_nobody(
        self, distant: Broker, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rabbitmq, "CLOSE_TIMEOUT", 0.1)
        distant.declare(SAMPLE)
        distant.publish([message(0)])
        proxy.hold()
        started = time.monotonic()

        outcomes = distant.publish([message(1, key="sample.unknown.v1")], timeout=0.3)

        assert outcomes == [Outcome.UNKNOWN]
        assert time.monotonic() - started < 5
        proxy.release()
        assert distant.publish([message(2)]) == [Outcome.CONFIRMED]

    def test_a_broker_that_does_not_answer_a_new_connection_is_unavailable(
        self, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rabbitmq, "STACK_TIMEOUT", 0.3)
        distant = connect(proxy.url, name="distant")
        proxy.hold()

        with pytest.raises(BrokerUnavailable):
            distant.publish([message(1)])
        with pytest.raises(BrokerUnavailable):
            distant.subscribe(QUEUE)
        with pytest.raises(BrokerUnavailable):
            distant.depth(QUEUE)

        wait_until(lambda: not io_threads())

    def test_connections_leave_no_thread_behind(self, broker: Broker) -> None:
        broker.declare(SAMPLE)
        for number in range(3):
            broker.publish([message(number)])
            with closing(broker.subscribe(QUEUE)):
                pass

        broker.close()

        wait_until(lambda: not io_threads())


class TestMessagesFromOutside:
    @pytest.mark.parametrize(
        "headers",
        [
            {"events": "many"},
            {"events": -1},
            {"events": 10**15},
            {"events": True},
            {"events": None},
            {"x-death": "yes"},
            {"x-death": []},
            {"x-death": [{"exchange": 7}]},
            {"x-death": [{"exchange": "user.events", "routing-keys": []}]},
        ],
    )
    def test_strange_headers_break_nothing(self, broker: Broker, broker_url: str, headers: dict[str, Any]) -> None:
        broker.declare(SAMPLE)
        publish_raw(broker_url, "", QUEUE, pika.BasicProperties(headers=headers))
        broker.publish([message(1)])

        with closing(broker.subscribe(QUEUE)) as hold:
            strange, ours = taken(hold, 2)

        assert (strange.message_id, strange.events) == ("", 1)
        assert ours.message_id == "message-1"

    def test_properties_that_are_no_text_break_nothing(self, broker: Broker, broker_url: str) -> None:
        broker.declare(SAMPLE)
        properties = pika.BasicProperties(message_id=b"\xff", content_type=b"\xfe")
        publish_raw(broker_url, "", QUEUE, properties)

        with closing(broker.subscribe(QUEUE)) as hold:
            (delivery,) = taken(hold, 1)

        assert (delivery.message_id, delivery.content_type) == ("\ufffd", "\ufffd")

    def test_a_message_without_properties_breaks_nothing(self, broker: Broker, broker_url: str) -> None:
        broker.declare(SAMPLE)
        publish_raw(broker_url, EXCHANGE, KEY, pika.BasicProperties())

        with closing(broker.subscribe(QUEUE)) as hold:
            (delivery,) = taken(hold, 1)

        assert (delivery.message_id, delivery.exchange, delivery.events) == ("", EXCHANGE, 1)


class TestMessagesTheBrokerRefuses:
    def test_a_message_the_protocol_has_no_form_for_is_refused_and_the_others_arrive(self, broker: Broker) -> None:
        broker.declare(SAMPLE)

        outcomes = broker.publish([message(1), message(2, key="x" * 300), message(3)])

        assert outcomes == [Outcome.CONFIRMED, Outcome.REFUSED, Outcome.CONFIRMED]

    def test_a_full_queue_refuses(self, broker: Broker) -> None:
        full = Queue("full", "classic", (("x-max-length", 1), ("x-overflow", "reject-publish")))
        broker.declare(Topology((Exchange(EXCHANGE),), (full,), (Binding(EXCHANGE, "full", KEY),)))

        outcomes = broker.publish(messages(3))

        assert outcomes == [Outcome.CONFIRMED, Outcome.REFUSED, Outcome.REFUSED]

    def test_a_queue_declared_otherwise_before_is_reported(self, broker: Broker) -> None:
        broker.declare(SAMPLE)

        with pytest.raises(BrokerUnavailable, match="PRECONDITION_FAILED"):
            broker.declare(Topology(queues=(Queue(QUEUE, arguments=(("x-delivery-limit", 1),)),)))


class TestCrashLoops:
    def test_a_message_that_is_never_answered_goes_to_the_dead_queue_with_its_origin(self, broker: Broker) -> None:
        broker.declare(SAMPLE)
        broker.publish([message(1)])

        for _ in range(DELIVERY_LIMIT + 1):
            with closing(broker.subscribe(QUEUE)) as hold:
                taken(hold, 1)

        wait_until(lambda: broker.depth(dead_queue(QUEUE)) == 1)
        with closing(broker.subscribe(dead_queue(QUEUE))) as hold:
            (dead,) = taken(hold, 1)
        assert (dead.message_id, dead.exchange, dead.routing_key) == ("message-1", EXCHANGE, KEY)


class TestNamespaces:
    def test_two_namespaces_of_one_broker_do_not_see_each_other(self, broker: Broker, broker_url: str) -> None:
        broker.declare(SAMPLE)
        other = RabbitMQ(f"{broker_url}-other")
        other.declare(SAMPLE)

        broker.publish([message(1)])

        assert wait_until(lambda: broker.depth(QUEUE)) == 1
        assert other.depth(QUEUE) == 0
        other.delete(SAMPLE)
        other.close()


def publish_raw(broker_url: str, exchange: str, key: str, properties: pika.BasicProperties) -> None:
    """Publish past our own adapter, as others do."""
    parts = urlsplit(broker_url)
    namespace = parts.query.removeprefix("namespace=")
    parameters = pika.URLParameters(broker_url.removesuffix(f"?{parts.query}"))
    with closing(pika.BlockingConnection(parameters)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        exchange, key = (f"{namespace}.{exchange}", key) if exchange else ("", f"{namespace}.{key}")
        channel.basic_publish(exchange, key, b"from outside", properties, mandatory=True)


def io_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "rabbitmq-io"]
