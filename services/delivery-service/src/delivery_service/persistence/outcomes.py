"""What dispatchers claim of the deliveries, and what they record of their attempts: many rows at a time."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.orm import Session

from delivery_service.model.delivery import AttemptEntry, Delivery, DeliveryState, Event
from delivery_service.model.destination import Destination
from delivery_service.persistence.leases import LeaseRepository
from service_chassis.breaker import Record
from service_chassis.database.statements import among

DELIVERIES = cast("Table", Delivery.__table__)


class Claimed(NamedTuple):
    """A delivery that its destination's owner is about to send."""

    id: UUID
    message_id: str
    payload: bytes
    attempts: int
    tries: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """An attempt that ended, and what follows from it."""

    delivery_id: UUID
    destination_id: UUID
    fence: int
    state: DeliveryState
    due_at: datetime | None
    ended_at: datetime
    attempt: Mapping[str, Any]
    """The row of the log."""


class OutcomeRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def destinations(self, ids: Collection[UUID]) -> Sequence[Destination]:
        return list(self._session.scalars(select(Destination).where(among(self._session, Destination.id, ids))))

    def claim(self, destination: Destination, now: datetime, *, most: int) -> list[Claimed]:
        """Mark deliveries as being sent and return them, in the order they are to go; only their owner may."""
        ids = self._in_order(destination.id, now, most) if destination.ordered else self._due(destination.id, now, most)
        if not ids:
            return []
        chosen = among(self._session, Delivery.id, ids)
        statement = update(Delivery).where(chosen, Delivery.due_at.is_not(None)).values(state=DeliveryState.SENDING)
        self._session.execute(statement.execution_options(synchronize_session=False))
        query = (
            select(Delivery.id, Event.event_id, Event.payload, Delivery.attempts, Delivery.tries, Delivery.due_at)
            .join(Event, Event.id == Delivery.event_id)
            .where(chosen, Delivery.state == DeliveryState.SENDING)
        )
        claimed = {row.id: Claimed(*row) for row in self._session.execute(query)}  # type: ignore[arg-type]  # It is due.
        return [claimed[delivery_id] for delivery_id in ids if delivery_id in claimed]

    def record(self, outcomes: Iterable[Outcome]) -> set[UUID]:
        """Write what came of attempts, and return the deliveries whose state that changed.

        A success is a fact whoever saw it. Any other outcome is followed only if its dispatcher still owns the
        destination; otherwise there is a new owner, who goes by attempts of its own.
        """
        ordered = sorted(outcomes, key=lambda outcome: outcome.delivery_id)
        fences = LeaseRepository(self._session).fences({outcome.destination_id for outcome in ordered})
        valid = [
            outcome
            for outcome in ordered
            if outcome.state == DeliveryState.SUCCEEDED or fences.get(outcome.destination_id) == outcome.fence
        ]
        waiting = self._waiting([outcome.delivery_id for outcome in valid])
        changes = [_change(outcome) for outcome in valid if outcome.delivery_id in waiting]
        if changes:
            self._session.connection().execute(CHANGE, changes)
        self._session.execute(insert(AttemptEntry), [dict(outcome.attempt) for outcome in ordered])
        return waiting

    def note_health(self, destination_id: UUID, breaker: Record, failing_since: datetime | None) -> None:
        """Write how a destination is, as its breaker sees it."""
        self._session.execute(
            update(Destination)
            .where(Destination.id == destination_id)
            .values(
                breaker_state=breaker.state,
                breaker_failures=breaker.failures,
                breaker_opened_at=breaker.opened_at,
                failing_since=failing_since,
            )
            .execution_options(synchronize_session=False)
        )

    def _due(self, destination_id: UUID, now: datetime, most: int) -> list[UUID]:
        query = (
            select(Delivery.id)
            .where(
                Delivery.destination_id == destination_id,
                Delivery.due_at <= now,
                Delivery.state != DeliveryState.SENDING,
            )
            .order_by(Delivery.due_at, Delivery.id)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        return list(self._session.scalars(query))

    def _in_order(self, destination_id: UUID, now: datetime, most: int) -> list[UUID]:
        """Return the oldest that wait, up to the first that is not due yet or is under way."""
        query = (
            select(Delivery.id, Delivery.due_at, Delivery.state)
            .where(Delivery.destination_id == destination_id, Delivery.due_at.is_not(None))
            .order_by(Delivery.id)
            .limit(most)
        )
        rows = self._session.execute(query)
        return [row.id for row in takewhile(lambda row: row.due_at <= now and row.state != "sending", rows)]

    def _waiting(self, ids: Collection[UUID]) -> set[UUID]:
        """Return those of the deliveries that wait, locked: the others were given up meanwhile, or have arrived."""
        query = (
            select(Delivery.id)
            .where(among(self._session, Delivery.id, ids), Delivery.due_at.is_not(None))
            .order_by(Delivery.id)
            .with_for_update()
        )
        return set(self._session.scalars(query))


CHANGE = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id == bindparam("key"))
    .values(
        state=bindparam("state"),
        due_at=bindparam("due_at"),
        attempts=DELIVERIES.c.attempts + 1,
        tries=DELIVERIES.c.tries + 1,
        last_status=bindparam("last_status"),
        last_error=bindparam("last_error"),
        processed_at=bindparam("processed_at"),
    )
)


def _change(outcome: Outcome) -> dict[str, Any]:
    return {
        "key": outcome.delivery_id,
        "state": outcome.state.value,
        "due_at": outcome.due_at,
        "last_status": outcome.attempt["status"],
        "last_error": outcome.attempt["error"],
        "processed_at": outcome.ended_at if outcome.due_at is None else None,
    }
