"""RabbitMQ behind the broker port, on pika; the only module that knows pika.

Each connection's I/O runs in a thread of its own, so heartbeats never wait for a handler, and other threads reach it
through `add_callback_threadsafe` only. Publisher confirms are pipelined: a whole batch is in flight before the first
answer is awaited, and the wait has a deadline, which pika's own does not.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pika
from pika.adapters.select_connection import SelectConnection
from pika.exceptions import AMQPError

from service_chassis.errors import Unavailable
from service_chassis.messaging.broker import BrokerUnavailable, Delivery, Message, Outcome, Subscription
from service_chassis.messaging.topology import Queue, Topology

OPEN_TIMEOUT = 5.0
CLOSE_TIMEOUT = 5.0


class RabbitMQ:
    """A RabbitMQ broker, 3.10 to 4.x. `?namespace=x` in the URL puts every name behind `x.`, which tests use."""

    def __init__(self, url: str, *, name: str = "steward") -> None:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        self._namespace = query.get("namespace", [""])[0]
        self._parameters = _parameters(urlunsplit(parts._replace(query="")), name)
        self._publishing = threading.Lock()
        self._publisher: _Publisher | None = None

    def declare(self, topology: Topology) -> None:
        with _translated(), _blocking(self._parameters) as channel:
            for exchange in topology.exchanges:
                channel.exchange_declare(self._name(exchange.name), exchange_type=exchange.kind, durable=True)
            for queue in topology.queues:
                channel.queue_declare(self._name(queue.name), durable=True, arguments=self._arguments(queue))
            for binding in topology.bindings:
                channel.queue_bind(self._name(binding.queue), self._name(binding.exchange), binding.key)

    def unbind(self, exchange: str, queue: str, key: str) -> None:
        """Remove a binding that the topology no longer has."""
        with _translated(), _blocking(self._parameters) as channel:
            channel.queue_unbind(self._name(queue), self._name(exchange), key)

    def delete(self, topology: Topology) -> None:
        """Remove the queues and exchanges of a topology and all messages in them."""
        with _translated(), _blocking(self._parameters) as channel:
            for queue in topology.queues:
                channel.queue_delete(self._name(queue.name))
            for exchange in topology.exchanges:
                channel.exchange_delete(self._name(exchange.name))

    def publish(self, messages: Sequence[Message], timeout: float = 10) -> list[Outcome]:
        if not messages:
            return []
        with self._publishing:
            if self._publisher is None or not self._publisher.usable:
                self._publisher = _Publisher(self._parameters, self._name)
            outcomes = self._publisher.publish(messages, timeout)
            if Outcome.UNKNOWN in outcomes:
                # Late answers would be taken for those of the next batch, so the connection is not used again.
                self._publisher.close()
                self._publisher = None
            return outcomes

    def subscribe(self, queue: str, *, prefetch: int = 200) -> Subscription:
        return _Subscription(self._parameters, self._name(queue), self._unnamed, prefetch)

    def depth(self, queue: str) -> int:
        with _translated(), _blocking(self._parameters) as channel:
            return int(channel.queue_declare(self._name(queue), passive=True).method.message_count)

    def close(self) -> None:
        with self._publishing:
            if self._publisher is not None:
                self._publisher.close()
                self._publisher = None

    def _name(self, name: str) -> str:
        return f"{self._namespace}.{name}" if self._namespace and name else name

    def _unnamed(self, name: str) -> str:
        return name.removeprefix(f"{self._namespace}.") if self._namespace else name

    def _arguments(self, queue: Queue) -> dict[str, Any]:
        names = ("x-dead-letter-exchange", "x-dead-letter-routing-key")
        return {key: self._name(str(value)) if key in names else value for key, value in queue.declared().items()}


class _Link:
    """A connection with one channel, its I/O in a thread of its own."""

    def __init__(
        self, parameters: pika.ConnectionParameters, set_up: Callable[[Any, Callable[[], None]], None]
    ) -> None:
        self._set_up = set_up
        self._parameters = parameters
        self._ready = threading.Event()
        self._closing = False
        self.ended = threading.Event()
        self.reason = "The connection was closed."
        self.channel: Any = None
        self._connection: Any = None
        threading.Thread(target=self._run, name="rabbitmq-io", daemon=True).start()
        if not self._ready.wait(OPEN_TIMEOUT) or self.ended.is_set():
            self.close()
            raise BrokerUnavailable(f"RabbitMQ is not reachable: {self.reason}", retry_after=2)

    def call(self, function: Callable[[], None]) -> None:
        """Have the I/O thread call `function` soon."""
        if self.ended.is_set():
            raise BrokerUnavailable(self.reason, retry_after=2)
        self._connection.ioloop.add_callback_threadsafe(function)

    def close(self) -> None:
        """Close after everything that was handed to `call` before."""
        if self._connection is not None and not self.ended.is_set():
            self._connection.ioloop.add_callback_threadsafe(self._shut)
            self.ended.wait(CLOSE_TIMEOUT)

    def _run(self) -> None:
        try:
            self._connection = SelectConnection(
                self._parameters,
                on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
                on_open_error_callback=lambda _, error: self._end(error),
                on_close_callback=lambda _, error: self._end(error),
            )
            self._connection.ioloop.start()
            self._connection.ioloop.close()
        except (AMQPError, OSError) as error:
            self.reason = _words(error)
        finally:
            self.ended.set()
            self._ready.set()

    def _opened(self, channel: Any) -> None:
        self.channel = channel
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_cancel_callback(lambda _: self._shut("The broker cancelled the consumer."))
        self._set_up(channel, self._ready.set)

    def _channel_closed(self, _: Any, error: BaseException) -> None:
        if not self._closing:
            self._shut(_words(error))

    def _shut(self, reason: str = "") -> None:
        self.reason = reason or self.reason
        self._closing = True
        if self._connection.is_closed:
            self._connection.ioloop.stop()
        elif not self._connection.is_closing:
            self._connection.close()

    def _end(self, error: BaseException) -> None:
        if not self._closing:
            self.reason = _words(error)
        self._connection.ioloop.stop()


class _Flight:
    """A batch on its way: which delivery tag belongs to which message, and what became of each."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages
        self.outcomes = [Outcome.UNKNOWN] * len(messages)
        self.returned: set[str] = set()
        self.waiting: dict[int, int] = {}
        self.landed = threading.Event()

    def answer(self, tag: int, *, multiple: bool, confirmed: bool) -> None:
        tags = [waiting for waiting in self.waiting if waiting <= tag] if multiple else [tag]
        for known in tags:
            self._settle(known, confirmed=confirmed)
        if not self.waiting:
            self.landed.set()

    def _settle(self, tag: int, *, confirmed: bool) -> None:
        index = self.waiting.pop(tag, None)
        if index is None:
            return
        if not confirmed:
            self.outcomes[index] = Outcome.REFUSED
        elif self.messages[index].message_id in self.returned:
            self.outcomes[index] = Outcome.UNROUTABLE
        else:
            self.outcomes[index] = Outcome.CONFIRMED


class _Publisher:
    def __init__(self, parameters: pika.ConnectionParameters, name: Callable[[str], str]) -> None:
        self._name = name
        self._tag = 0
        self._flight: _Flight | None = None
        self._link = _Link(parameters, self._set_up)

    @property
    def usable(self) -> bool:
        return not self._link.ended.is_set()

    def publish(self, messages: Sequence[Message], timeout: float) -> list[Outcome]:
        flight = _Flight(messages)
        self._link.call(partial(self._send, flight))
        deadline = time.monotonic() + timeout
        while not flight.landed.wait(0.1):
            if self._link.ended.is_set() or time.monotonic() > deadline:
                break
        return list(flight.outcomes)

    def close(self) -> None:
        self._link.close()

    def _set_up(self, channel: Any, ready: Callable[[], None]) -> None:
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._answered, callback=lambda _: ready())

    def _send(self, flight: _Flight) -> None:
        self._flight = flight
        for index, message in enumerate(flight.messages):
            self._tag += 1
            flight.waiting[self._tag] = index
            self._link.channel.basic_publish(
                self._name(message.exchange), message.routing_key, message.body, _properties(message), mandatory=True
            )

    def _returned(self, _: Any, __: Any, properties: Any, ___: bytes) -> None:
        if self._flight is not None:
            self._flight.returned.add(properties.message_id)

    def _answered(self, frame: Any) -> None:
        if self._flight is not None:
            confirmed = isinstance(frame.method, pika.spec.Basic.Ack)
            self._flight.answer(frame.method.delivery_tag, multiple=frame.method.multiple, confirmed=confirmed)


class _Subscription:
    def __init__(
        self, parameters: pika.ConnectionParameters, queue: str, unnamed: Callable[[str], str], prefetch: int
    ) -> None:
        self._queue = queue
        self._unnamed = unnamed
        self._prefetch = prefetch
        self._arrived: SimpleQueue[Delivery] = SimpleQueue()
        self._put_back: Delivery | None = None
        self._link = _Link(parameters, self._set_up)

    def take(self, limit: int, timeout: float) -> list[Delivery]:
        first = self._first(timeout)
        if first is None:
            return []
        taken, events = [first], first.events
        while events < limit and (delivery := self._next()) is not None:
            if events + delivery.events > limit:
                self._put_back = delivery
                break
            taken.append(delivery)
            events += delivery.events
        return taken

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            tag = deliveries[-1].tag
            self._link.call(lambda: self._link.channel.basic_ack(tag, multiple=True))

    def close(self) -> None:
        self._link.close()

    def _first(self, timeout: float) -> Delivery | None:
        if self._put_back is not None:
            first, self._put_back = self._put_back, None
            return first
        if self._link.ended.is_set():
            raise BrokerUnavailable(self._link.reason, retry_after=2)
        try:
            return self._arrived.get(timeout=timeout)
        except Empty:
            return None

    def _next(self) -> Delivery | None:
        try:
            return self._arrived.get_nowait()
        except Empty:
            return None

    def _set_up(self, channel: Any, ready: Callable[[], None]) -> None:
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(self._queue, self._on_message, callback=lambda _: ready())

    def _on_message(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        headers = dict(properties.headers or {})
        exchange, routing_key = _origin(method, headers)
        self._arrived.put(
            Delivery(
                tag=method.delivery_tag,
                message_id=properties.message_id or "",
                exchange=self._unnamed(exchange),
                routing_key=routing_key,
                content_type=properties.content_type or "",
                body=body,
                events=int(headers.get("events", 1)),
                redelivered=method.redelivered,
                headers=headers,
            )
        )


class _translated:  # noqa: N801  # used as a context manager, like contextlib's own
    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, AMQPError | OSError) and not isinstance(error, Unavailable):
            raise BrokerUnavailable(f"RabbitMQ is not reachable: {_words(error)}", retry_after=2) from error


class _blocking:  # noqa: N801  # used as a context manager, like contextlib's own
    """A short-lived connection for the few questions that need an answer before going on."""

    def __init__(self, parameters: pika.ConnectionParameters) -> None:
        self._parameters = parameters

    def __enter__(self) -> Any:
        self._connection = pika.BlockingConnection(self._parameters)
        return self._connection.channel()

    def __exit__(self, *_: object) -> None:
        if self._connection.is_open:
            self._connection.close()


def _parameters(url: str, name: str) -> pika.ConnectionParameters:
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 10
    parameters.blocked_connection_timeout = 10
    parameters.socket_timeout = 2
    parameters.stack_timeout = 3
    parameters.connection_attempts = 1
    parameters.client_properties = {"connection_name": name}
    return parameters


def _properties(message: Message) -> pika.BasicProperties:
    return pika.BasicProperties(
        content_type=message.content_type,
        delivery_mode=2,
        message_id=message.message_id,
        correlation_id=message.correlation_id or None,
        type=message.routing_key,
        timestamp=message.timestamp or None,
        app_id=message.source or None,
        headers={"events": message.events},
    )


def _origin(method: Any, headers: dict[str, Any]) -> tuple[str, str]:
    """Return where a message was published to, also after the broker moved it to a dead-letter queue."""
    deaths = headers.get("x-death") or []
    if method.exchange or not deaths:
        return method.exchange, method.routing_key
    return deaths[-1]["exchange"], deaths[-1]["routing-keys"][0]


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
