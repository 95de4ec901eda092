"""RabbitMQ behind the broker port, on pika; the only module that knows pika.

Each connection's I/O runs in a thread of its own, so heartbeats never wait for a handler, and other threads reach it
through `add_callback_threadsafe` only.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pika
from pika.adapters.select_connection import SelectConnection
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, ChannelClosedByBroker

from service_chassis.messaging.broker import PREFETCH, BrokerUnavailable, Message, Outcome, Subscription
from service_chassis.messaging.rabbitmq_consuming import Consumption
from service_chassis.messaging.rabbitmq_publishing import Publisher, Unsendable
from service_chassis.messaging.topology import Queue, Topology

STACK_TIMEOUT = 3.0
"""Seconds until TCP, TLS and AMQP have agreed on a connection; opening the channel on it comes after that."""
OPEN_TIMEOUT = 5.0
CLOSE_TIMEOUT = 5.0
NOT_FOUND = 404
CLOSED = "The connection was closed."
FOREIGN = (AMQPError, AMQPConnectorException, OSError)
"""What the library raises when something is wrong with the broker or on the way to it."""
NAMESPACE_EXPIRES = 30 * 60 * 1000
"""Milliseconds after which an unused queue with a namespace goes, because its test was killed."""


class RabbitMQ:
    """A RabbitMQ broker, 3.10 to 4.x. `?namespace=x` in the URL puts every name behind `x.`, which tests use."""

    def __init__(self, url: str, *, name: str = "steward") -> None:
        # Whatever the library logs, with tracebacks and several times over, reaches us as an error as well.
        logging.getLogger("pika").setLevel(logging.CRITICAL)
        parts = urlsplit(url)
        query = parse_qs(parts.query)
        self._namespace = query.pop("namespace", [""])[0]
        self._parameters = _parameters(urlunsplit(parts._replace(query=urlencode(query, doseq=True))), name)
        self._publishing = threading.Lock()
        self._publisher = Publisher(partial(_Link, self._parameters), self._send)

    def declare(self, topology: Topology) -> None:
        with _translated(), _blocking(self._parameters) as channel:
            for exchange in topology.exchanges:
                _declare_exchange(channel.connection, self._name(exchange.name), exchange.kind)
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
        with self._publishing:
            return self._publisher.publish(messages, time.monotonic() + timeout)

    def subscribe(self, queue: str, *, prefetch: int = PREFETCH) -> Subscription:
        return Consumption(partial(_Link, self._parameters), self._name(queue), self._unnamed, prefetch)

    def depth(self, queue: str) -> int:
        with _translated(), _blocking(self._parameters) as channel:
            return int(channel.queue_declare(self._name(queue), passive=True).method.message_count)

    def close(self) -> None:
        with self._publishing:
            self._publisher.close()

    def _send(self, channel: Any, message: Message) -> None:
        try:
            channel.basic_publish(
                self._name(message.exchange), message.routing_key, message.body, _properties(message), mandatory=True
            )
        except pika.exceptions.ShortStringTooLong as error:
            raise Unsendable from error

    def _name(self, name: str) -> str:
        return f"{self._namespace}.{name}" if self._namespace and name else name

    def _unnamed(self, name: str) -> str:
        return name.removeprefix(f"{self._namespace}.") if self._namespace else name

    def _arguments(self, queue: Queue) -> dict[str, Any]:
        declared = queue.declared()
        # On the default exchange a key is the name of a queue; on any other it is a word of its own.
        to_a_queue = declared.get("x-dead-letter-exchange") == ""
        names = {"x-dead-letter-exchange"} | ({"x-dead-letter-routing-key"} if to_a_queue else set())
        given = {key: self._name(str(value)) if key in names else value for key, value in declared.items()}
        return {**given, "x-expires": NAMESPACE_EXPIRES} if self._namespace else given


class _Link:
    """A connection with one channel, its I/O in a thread of its own."""

    def __init__(
        self, parameters: pika.ConnectionParameters, set_up: Callable[[Any, Callable[[], None]], None]
    ) -> None:
        self._set_up = set_up
        self._parameters = parameters
        self._ready = threading.Event()
        self._closing = False
        self._shutting = False
        self._connection: Any = None
        self.channel: Any = None
        self.ended = threading.Event()
        self.reason = "It does not answer."
        self.refusal: int | None = None
        threading.Thread(target=self._run, name="rabbitmq-io", daemon=True).start()
        if not self._ready.wait(OPEN_TIMEOUT) or self.ended.is_set():
            error = self.gone()
            self.close()
            raise error

    def gone(self) -> BrokerUnavailable:
        return BrokerUnavailable(f"RabbitMQ is not reachable: {self.reason}", retry_after=2)

    def call(self, function: Callable[[], None]) -> None:
        """Have the I/O thread call `function` soon. Raises BrokerUnavailable."""
        if self.ended.is_set():
            raise self.gone()
        self._connection.ioloop.add_callback_threadsafe(partial(self._guarded, function))

    def close(self) -> None:
        """Close after everything that was handed to `call` before."""
        self._closing = True
        # Without a connection the I/O thread has not come that far, and sees the mark when it does.
        if self._connection is not None and not self.ended.is_set():
            self._connection.ioloop.add_callback_threadsafe(partial(self._shut, CLOSED))
            self.ended.wait(CLOSE_TIMEOUT)

    def _run(self) -> None:
        try:
            self._connection = SelectConnection(
                self._parameters,
                on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
                on_open_error_callback=lambda _, error: self._end(error),
                on_close_callback=lambda _, error: self._end(error),
            )
            if self._closing:
                self._connection.ioloop.add_callback_threadsafe(partial(self._shut, CLOSED))
            self._connection.ioloop.start()
        except Exception as error:  # noqa: BLE001  # The library also fails with AssertionError or KeyError; the link is gone then.
            self.reason = _words(error)
        finally:
            self.ended.set()
            self._ready.set()
            if self._connection is not None:
                self._connection.ioloop.close()

    def _opened(self, channel: Any) -> None:
        self.channel = channel
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_cancel_callback(lambda _: self._shut("The broker cancelled the consumer."))
        self._set_up(channel, self._ready.set)

    def _guarded(self, function: Callable[[], None]) -> None:
        try:
            function()
        except AMQPError as error:
            self._shut(_words(error))

    def _channel_closed(self, _: Any, error: BaseException) -> None:
        if isinstance(error, ChannelClosedByBroker):
            self.refusal = error.reply_code
        self._shut(_words(error))

    def _shut(self, reason: str) -> None:
        """End the connection for a reason, unless it is ending for another one already."""
        if not (self._connection.is_closing or self._connection.is_closed):
            self.reason, self._shutting = reason, True
            self._connection.close()

    def _end(self, error: BaseException) -> None:
        if not self._shutting:
            self.reason = _words(error)
        self._connection.ioloop.stop()


class _translated:  # noqa: N801  # used as a context manager, like contextlib's own
    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, FOREIGN):
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


def _declare_exchange(connection: Any, name: str, kind: str) -> None:
    """Declare an exchange that is missing; each question has a channel of its own, because a "no" costs it.

    One that is there is left alone: who only binds to it may not declare it, since who may could also delete it.
    """
    try:
        with connection.channel() as channel:
            channel.exchange_declare(name, passive=True)
    except ChannelClosedByBroker as error:
        if error.reply_code != NOT_FOUND:
            raise
        with connection.channel() as channel:
            channel.exchange_declare(name, exchange_type=kind, durable=True)


def _parameters(url: str, name: str) -> pika.ConnectionParameters:
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 10
    parameters.blocked_connection_timeout = 10
    parameters.socket_timeout = 2
    parameters.stack_timeout = STACK_TIMEOUT
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


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
