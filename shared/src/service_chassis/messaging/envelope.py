"""CloudEvents 1.0 in structured JSON, alone or as a batch, and what of it is mirrored beside the body."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from re import Pattern
from typing import Annotated, Any, ClassVar, Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from service_chassis import correlation
from service_chassis.ids import uuid7
from service_chassis.messaging import versions

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BATCH_LIMIT = 100
"""The most events put into one message, which are some 80 KB; the contract allows 500."""


class Contract(Protocol):
    """What the chassis needs to know of an event; the contracts themselves live elsewhere."""

    type: ClassVar[str]
    exchange: ClassVar[str]
    source: ClassVar[str]

    @property
    def subject(self) -> str:
        """The id of the aggregate the event is about."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One CloudEvent; `data` is the contract on the way out and raw JSON on the way in."""

    specversion: str
    id: UUID
    source: str
    type: str
    subject: str
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    datacontenttype: str = "application/json"
    dataschema: str | UnsetType = UNSET
    data: Any
    correlationid: str | UnsetType = UNSET
    causationid: str | UnsetType = UNSET
    traceparent: str | UnsetType = UNSET
    aggregateversion: int | UnsetType = UNSET
    aggregateepoch: int | UnsetType = UNSET


class Received(Envelope, frozen=True, kw_only=True):
    """An envelope whose data has not been decoded yet."""

    data: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Event:
    """An event as a handler sees it; `data` is an instance of the contract it subscribed to."""

    id: UUID
    type: str
    source: str
    subject: str
    time: datetime
    data: Any
    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event to publish: the contract, the version of its aggregate, and the event that caused it.

    Without a cause the ids of the work in hand are used; a handler of many events names the cause of each.
    """

    data: Contract
    version: int | None = None
    cause: Event | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message ready for the outbox: encoded, and labelled with what routing and operators need."""

    id: UUID
    exchange: str
    routing_key: str
    content_type: str
    body: str
    events: int
    correlation_id: str
    source: str


_encoder = msgspec.json.Encoder()
_one = msgspec.json.Decoder(Received)
_many = msgspec.json.Decoder(list[Received])


def encoded(outgoing: Outgoing, now: datetime) -> NewMessage:
    """Return one event as a message of its own; the message's id is the event's."""
    envelope = enveloped(outgoing, now)
    return _message(envelope.id, SINGLE, [envelope], _encoder.encode(envelope))


def encoded_batch(batch: Sequence[Outgoing], now: datetime) -> NewMessage:
    """Return events of one type as one message, which has an id of its own."""
    envelopes = [enveloped(outgoing, now) for outgoing in batch]
    return _message(uuid7(), BATCH, envelopes, _encoder.encode(envelopes))


def enveloped(outgoing: Outgoing, now: datetime) -> Envelope:
    """Return an event in an envelope of its own, which is what goes over the wire."""
    ids = _ids(outgoing.cause)
    epoch, count = versions.split(outgoing.version or 0)
    return Envelope(
        specversion="1.0",
        id=uuid7(),
        source=outgoing.data.source,
        type=outgoing.data.type,
        subject=outgoing.data.subject,
        time=now,
        dataschema=f"/contracts/{outgoing.data.type}",
        data=outgoing.data,
        correlationid=ids.correlation_id,
        causationid=ids.causation_id or UNSET,
        traceparent=ids.traceparent or UNSET,
        aggregateversion=UNSET if outgoing.version is None else count,
        aggregateepoch=epoch or UNSET,
    )


def batched(events: Iterable[Outgoing], limit: int = BATCH_LIMIT) -> Iterator[list[Outgoing]]:
    """Cut events into runs of one type with at most `limit` in each."""
    for _, run in groupby(events, key=lambda outgoing: outgoing.data.type):
        while batch := list(islice(run, limit)):
            yield batch


def decoded(content_type: str, body: bytes) -> list[Received]:
    """Return the events of a message; raises msgspec.DecodeError when it is not what it says."""
    return _many.decode(body) if content_type == BATCH else [_one.decode(body)]


def received(envelope: Received, contract: type[Any]) -> Event:
    """Return the event as its contract reads it; fields the contract does not know are passed over.

    Raises msgspec.ValidationError.
    """
    return Event(
        id=envelope.id,
        type=envelope.type,
        source=envelope.source,
        subject=envelope.subject,
        time=envelope.time,
        data=msgspec.json.decode(envelope.data, type=contract),
        correlation_id=_accepted(envelope.correlationid, correlation.ACCEPTED_ID) or str(envelope.id),
        causation_id=_accepted(envelope.causationid, correlation.ACCEPTED_ID),
        traceparent=_accepted(envelope.traceparent, correlation.ACCEPTED_TRACEPARENT),
        version=version_of(envelope),
    )


def version_of(envelope: Envelope) -> int | None:
    """Return the version of the state in an envelope as one number that can be compared, if there is one."""
    version = _given(envelope.aggregateversion)
    return None if version is None else versions.joined(_given(envelope.aggregateepoch) or 0, version)


def single(envelope: Received) -> bytes:
    """Return one event of a batch as the body of a message of its own."""
    return _encoder.encode(envelope)


def _ids(cause: Event | None) -> correlation.Correlation:
    if cause is not None:
        return correlation.Correlation(cause.correlation_id, str(cause.id), cause.traceparent)
    return correlation.current() or correlation.fresh()


def _message(message_id: UUID, content_type: str, envelopes: Sequence[Envelope], body: bytes) -> NewMessage:
    first = envelopes[0]
    data: Contract = first.data
    return NewMessage(
        id=message_id,
        exchange=data.exchange,
        routing_key=first.type,
        content_type=content_type,
        body=body.decode(),
        events=len(envelopes),
        correlation_id=_given(first.correlationid) or "",
        source=first.source,
    )


def _accepted(value: str | UnsetType, pattern: Pattern[str]) -> str | None:
    """Return an id that came from outside if it is well formed: it goes on into logs, rows and other messages."""
    return value if isinstance(value, str) and pattern.match(value) else None


def _given(value: Any) -> Any:
    return None if value is UNSET else value
