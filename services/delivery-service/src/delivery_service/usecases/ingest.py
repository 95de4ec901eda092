"""Taking in an event: kept as it came, with a delivery for each destination that wants it, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec

from delivery_service.model.delivery import Delivery, DeliveryState, Event
from delivery_service.model.errors import EventDiffers, PayloadInvalid
from delivery_service.persistence.unit_of_work import UnitOfWork
from service_chassis import correlation
from service_chassis.ids import uuid7

DATA = "data.received"
"""The type of what comes in from outside."""


@dataclass(frozen=True, slots=True)
class Received:
    event: Event
    deliveries: Sequence[Delivery]


def receive(
    uow: UnitOfWork, account_id: UUID, payload: bytes, *, event_id: str | None = None, event_type: str = DATA
) -> Received:
    """Keep an event of an account and deliver it to each of its destinations that wants it.

    An event that is known already is answered as it was, and nothing is sent again. Raises PayloadInvalid for what is
    no JSON object, and EventDiffers for a known id with another payload.
    """
    content = _object(payload)
    event = _event(uow, account_id, event_id, event_type, payload)
    if not uow.events.add_new(event):
        known = uow.events.known(account_id, event.event_id)
        if (known.payload, known.type) != (payload, event_type):
            raise EventDiffers
        return Received(known, uow.events.deliveries(known))
    wanting = [one for one in uow.events.destinations_of(account_id) if one.subscription.wants(event_type, content)]
    deliveries = [_delivery(event, destination.id) for destination in wanting]
    uow.events.add_deliveries(deliveries)
    return Received(event, deliveries)


def _object(payload: bytes) -> dict[str, object]:
    try:
        return msgspec.json.decode(payload, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise PayloadInvalid from None


def _event(uow: UnitOfWork, account_id: UUID, event_id: str | None, event_type: str, payload: bytes) -> Event:
    own = uuid7()
    current = correlation.current() or correlation.fresh()
    return Event(
        id=own,
        account_id=account_id,
        event_id=event_id or str(own),
        type=event_type,
        payload=payload,
        received_at=uow.now,
        correlation_id=current.correlation_id,
    )


def _delivery(event: Event, destination_id: UUID) -> Delivery:
    return Delivery(
        id=uuid7(),
        event_id=event.id,
        account_id=event.account_id,
        destination_id=destination_id,
        state=DeliveryState.PENDING,
        due_at=event.received_at,
        attempts=0,
        tries=0,
        received_at=event.received_at,
    )
