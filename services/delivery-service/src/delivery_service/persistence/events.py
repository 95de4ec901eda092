"""Events as they came in, and the deliveries they become."""

from collections.abc import Collection, Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from delivery_service.model.delivery import Delivery, Event
from delivery_service.model.destination import Destination
from service_chassis.database.statements import upsert


class EventRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add_new(self, event: Event) -> bool:
        """Add an event unless its account has one with this id; say whether it was new."""
        row = {column.key: getattr(event, column.key) for column in Event.__table__.columns}
        insert = upsert(self._session, cast("Table", Event.__table__)).values(row)
        added = insert.on_conflict_do_nothing().returning(Event.__table__.c.id)
        return self._session.scalar(added) is not None

    def known(self, account_id: UUID, event_id: str) -> Event:
        """Return the event of an account that has this id."""
        return self._session.scalars(
            select(Event).where(Event.account_id == account_id, Event.event_id == event_id)
        ).one()

    def deliveries(self, event: Event) -> Sequence[Delivery]:
        return list(self._session.scalars(select(Delivery).where(Delivery.event_id == event.id).order_by(Delivery.id)))

    def add_deliveries(self, deliveries: Collection[Delivery]) -> None:
        self._session.add_all(deliveries)

    def destinations_of(self, account_id: UUID) -> Sequence[Destination]:
        """Return the destinations of an account, those that are paused or disabled too: what comes waits for them."""
        query = select(Destination).where(Destination.account_id == account_id, Destination.deleted_at.is_(None))
        return list(self._session.scalars(query.order_by(Destination.id)))
