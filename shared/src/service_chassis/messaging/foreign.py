"""Queues of another shape than ours, on which others publish in a form of their own.

Their messages are handled as events are: once each, in a transaction with their effect, failures as rows that the
scheduler retries. What is given up on goes to the dead-letter exchange the queue names as well, where others expect it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import msgspec

from service_chassis import correlation
from service_chassis.ids import uuid7
from service_chassis.logs import Log
from service_chassis.messaging import failures
from service_chassis.messaging.broker import Broker, Delivery
from service_chassis.messaging.consumer import Consumer
from service_chassis.messaging.envelope import Event, NewMessage
from service_chassis.messaging.incoming import DECODING, Incoming, Unreadable
from service_chassis.messaging.subscriptions import Subscriptions, on
from service_chassis.messaging.topology import Binding, Exchange, Queue, Topology
from service_chassis.metrics import Metrics
from service_chassis.retry import Backoff
from service_chassis.unit_of_work import Units

REQUESTS = UUID("3f0c1a52-6b7e-5d94-8a21-c0de5f3b9a17")
"""The namespace of ids made from what producers call their requests."""
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class DeadLetters:
    exchange: str
    key: str
    queue: str


@dataclass(frozen=True, slots=True)
class ForeignQueue:
    """A classic queue bound to a direct exchange, what its messages look like and what handles them.

    A form is a struct with `type` and `exchange`, with `request_id`, by which a producer names a request it may repeat,
    and with `scope`, within which a name, or else a message's id, stands for one request.
    """

    name: str
    key: str
    form: type[Any]
    handler: Callable[[Event, Any], None]
    dead: DeadLetters
    prefetch: int
    backoff: Backoff
    arguments: tuple[tuple[str, str | int], ...] = ()

    @property
    def topology(self) -> Topology:
        dead = self.dead
        arguments = (
            ("x-dead-letter-exchange", dead.exchange),
            ("x-dead-letter-routing-key", dead.key),
            *self.arguments,
        )
        return Topology(
            exchanges=(Exchange(self.form.exchange, "direct"), Exchange(dead.exchange, "direct")),
            queues=(Queue(self.name, "classic", arguments), Queue(dead.queue, "classic")),
            bindings=(
                Binding(self.form.exchange, self.name, self.key),
                Binding(dead.exchange, dead.queue, dead.key),
            ),
        )


class ForeignConsumer(Consumer):
    def __init__(
        self,
        service: str,
        queue: ForeignQueue,
        broker: Broker,
        units: Units[Any],
        *,
        log: Log,
        metrics: Metrics,
        stop: threading.Event,
    ) -> None:
        super().__init__(
            f"{service}:{queue.name}",
            queue.name,
            broker,
            units,
            Subscriptions([on(queue.form, queue.handler)], [queue.form]),
            log=log,
            metrics=metrics,
            backoff=queue.backoff,
            stop=stop,
        )
        self.prefetch = queue.prefetch
        self._form = queue.form
        self._dead = queue.dead
        self._source = f"/{service}"

    def read(self, delivery: Delivery) -> Incoming:
        try:
            data = msgspec.json.decode(delivery.body, type=self._form)
        except DECODING as error:
            raise Unreadable("invalid_data", str(error)) from error
        id_ = self._id(delivery, data)
        event = Event(
            id=id_,
            type=self._form.type,
            source="",
            subject=delivery.routing_key,
            time=self._units.clock.now(),
            data=data,
            correlation_id=correlation.accepted(delivery.correlation_id) or str(id_),
        )
        return Incoming(id_, event.type, delivery.exchange, [event], [delivery.body], JSON)

    def given_up(self, uow: Any, delivery: Delivery) -> None:
        body = failures.storable_text(delivery.body)
        if body is None:
            # The outbox keeps text; what is none stays in the table of failed messages alone.
            return
        uow.outgoing.append(
            NewMessage(
                id=uuid7(),
                exchange=self._dead.exchange,
                routing_key=self._dead.key,
                content_type=JSON,
                body=body,
                events=1,
                correlation_id=correlation.accepted(delivery.correlation_id) or "",
                source=self._source,
            )
        )

    def _id(self, delivery: Delivery, data: Any) -> UUID:
        """Return the id by which a repeated message is recognised; one with no id at all is always new.

        A retry comes from a row, which has the type in place of the key and remembers this id as the message's.
        """
        if delivery.routing_key == self._form.type and (known := _as_uuid(delivery.message_id)):
            return known
        name = data.request_id or delivery.message_id
        return uuid5(REQUESTS, f"{delivery.exchange}:{data.scope}:{name}") if name else uuid7()


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
