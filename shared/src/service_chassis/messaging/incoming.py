"""From what the broker delivered to what a handler can take, or to the reason why not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import BATCH, SINGLE, Event, Received, decoded, received, single
from service_chassis.messaging.subscriptions import Subscriptions

DECODING = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises, depending on how the bytes are broken or how deep they are nested."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message: its events, and the id under which the inbox remembers it."""

    inbox_id: UUID
    type: str
    exchange: str
    events: list[Event]
    bodies: list[bytes]
    content_type: str

    @property
    def is_batch(self) -> bool:
        return self.content_type == BATCH

    def split(self) -> list["Incoming"]:
        """Return the events of a batch as messages of their own."""
        return [
            Incoming(event.id, self.type, self.exchange, [event], [body], SINGLE)
            for event, body in zip(self.events, self.bodies, strict=True)
        ]


class Unreadable(Exception):
    """A message no handler can take; `reason` is a stable code, the text says more."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)


class NotSubscribed(Exception):
    """A known type this service no longer, or not yet, asks for."""


def read(delivery: Delivery, subscriptions: Subscriptions) -> Incoming:
    """Decode and check a message; raises Unreadable or NotSubscribed."""
    envelopes = _envelopes(delivery)
    event_type = envelopes[0].type
    contract = subscriptions.contract(event_type)
    if contract is None:
        raise Unreadable("unknown_type", f"No contract is called {event_type}.")
    _check_origin(delivery, envelopes, contract)
    if event_type not in subscriptions:
        raise NotSubscribed(event_type)
    try:
        events = [received(envelope, contract) for envelope in envelopes]
    except DECODING as error:
        raise Unreadable("invalid_data", str(error)) from error
    return Incoming(
        inbox_id=_inbox_id(delivery, envelopes),
        type=event_type,
        exchange=delivery.exchange,
        events=events,
        bodies=[delivery.body] if delivery.content_type == SINGLE else [single(envelope) for envelope in envelopes],
        content_type=delivery.content_type,
    )


def first_of_each(items: Sequence[Incoming], fresh: set[Any]) -> list[Incoming]:
    """Return the items with a fresh id; of two with the same id, the first."""
    by_id = {item.inbox_id: item for item in reversed(items) if item.inbox_id in fresh}
    return list(reversed(by_id.values()))


def by_type(items: Iterable[Incoming]) -> dict[str, list[Event]]:
    grouped: dict[str, list[Event]] = {}
    for item in items:
        grouped.setdefault(item.type, []).extend(item.events)
    return grouped


def _envelopes(delivery: Delivery) -> list[Received]:
    if delivery.content_type not in {SINGLE, BATCH}:
        raise Unreadable("unknown_content_type", f"{delivery.content_type!r} is no CloudEvents content type.")
    try:
        envelopes = decoded(delivery.content_type, delivery.body)
    except DECODING as error:
        raise Unreadable("undecodable", str(error)) from error
    if not envelopes:
        raise Unreadable("empty_batch", "The batch holds no event.")
    return envelopes


def _check_origin(delivery: Delivery, envelopes: list[Received], contract: type[Any]) -> None:
    if {envelope.type for envelope in envelopes} != {envelopes[0].type}:
        raise Unreadable("mixed_batch", "A batch holds events of one type only.")
    foreign = {envelope.source for envelope in envelopes} - {contract.source}
    if foreign or delivery.exchange != contract.exchange:
        raise Unreadable("foreign_source", f"{sorted(foreign)} may not publish this on {delivery.exchange}.")


def _inbox_id(delivery: Delivery, envelopes: list[Received]) -> UUID:
    if delivery.content_type == SINGLE:
        return envelopes[0].id
    try:
        return UUID(delivery.message_id)
    except ValueError as error:
        raise Unreadable("no_batch_id", "The batch's message id is no UUID.") from error
