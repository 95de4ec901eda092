"""Consuming a queue of RabbitMQ.

What arrives may come from outside: nothing in its properties is believed before it was looked at, because an error in
the I/O thread would end the connection, and with it everybody else's messages, each time the message comes back.
"""

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.rabbitmq_publishing import OpenLink

CORRELATION_HEADER = "x-correlation-id"
MOST_EVENTS = 500
"""The most events a message can hold."""


class Consumption:
    """A subscription to a queue."""

    def __init__(self, open_link: OpenLink, queue: str, unnamed: Callable[[str], str], prefetch: int) -> None:
        self._queue = queue
        self._unnamed = unnamed
        self._prefetch = prefetch
        self._arrived: SimpleQueue[Delivery] = SimpleQueue()
        self._put_back: Delivery | None = None
        self._link = open_link(self._set_up)

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
        if self._link.ended.is_set():
            raise self._link.gone()
        if self._put_back is not None:
            first, self._put_back = self._put_back, None
            return first
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
                message_id=_text(properties.message_id),
                exchange=self._unnamed(exchange),
                routing_key=routing_key,
                content_type=_text(properties.content_type),
                body=body,
                events=_events(headers),
                correlation_id=_correlation_id(properties, headers),
                redelivered=method.redelivered,
                headers=headers,
            )
        )


def _events(headers: dict[str, Any]) -> int:
    """Return how many events a message says it holds, where that is possible at all."""
    given = headers.get("events")
    return int(given) if isinstance(given, int) and 0 < given <= MOST_EVENTS else 1


def _correlation_id(properties: Any, headers: dict[str, Any]) -> str:
    """Return the id from the property, or from the header by which HTTP knows it."""
    named = {str(name).lower(): value for name, value in headers.items()}
    return _text(properties.correlation_id) or _text(named.get(CORRELATION_HEADER))


def _origin(method: Any, headers: dict[str, Any]) -> tuple[str, str]:
    """Return where a message was published to, also after the broker moved it to a dead-letter queue."""
    published = _text(method.exchange), _text(method.routing_key)
    if method.exchange:
        return published
    try:
        death = headers["x-death"][-1]
        return _text(death["exchange"]), _text(death["routing-keys"][0])
    except (LookupError, TypeError):
        return published


def _text(value: object) -> str:
    """Return a short string of the protocol, which the library leaves as bytes where it is no UTF-8."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value or "")
