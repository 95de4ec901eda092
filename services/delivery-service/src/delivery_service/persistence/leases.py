"""Leases: of all dispatchers one owns a destination, for as long as it renews."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import Table, case, exists, or_, select, update
from sqlalchemy.orm import Session

from delivery_service.model.delivery import Delivery, DeliveryState
from delivery_service.model.destination import Destination, Lease, Standing
from service_chassis.database.statements import among, upsert


class LeaseRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def with_work(self, owner: str, now: datetime, *, most: int) -> list[UUID]:
        """Return destinations that have something due and are this owner's or nobody's."""
        mine_or_free = or_(Lease.destination_id.is_(None), Lease.owner == owner, Lease.expires_at <= now)
        due = (Delivery.destination_id == Destination.id) & (Delivery.due_at <= now)
        # What the owner is sending is no work; what somebody else was sending when their lease ended is.
        work = exists().where(due, or_(Delivery.state != DeliveryState.SENDING, Lease.owner != owner))
        query = (
            select(Destination.id)
            .outerjoin(Lease, Lease.destination_id == Destination.id)
            .where(Destination.standing == Standing.ENABLED, Destination.deleted_at.is_(None), mine_or_free, work)
        )
        return list(self._session.scalars(query.limit(most)))

    def take(self, ids: Iterable[UUID], owner: str, now: datetime, until: datetime) -> dict[UUID, int]:
        """Take the leases that are free, with what their last owners were sending; return the fence of each."""
        taken = {}
        for destination_id in sorted(ids):
            row = {"destination_id": destination_id, "owner": owner, "fence": 1, "expires_at": until}
            insert = upsert(self._session, cast("Table", Lease.__table__)).values(row)
            fence = self._session.scalar(
                insert.on_conflict_do_update(
                    index_elements=["destination_id"],
                    set_={"owner": owner, "fence": Lease.fence + 1, "expires_at": until},
                    where=Lease.expires_at <= now,
                ).returning(Lease.fence)
            )
            if fence is not None:
                taken[destination_id] = fence
        if taken:
            self._give_back(among(self._session, Delivery.destination_id, taken))
        return taken

    def renew(self, fences: Mapping[UUID, int], owner: str, until: datetime) -> set[UUID]:
        """Prolong leases; return those that are still this owner's, whom nobody can follow before this ends."""
        mine = among(self._session, Lease.destination_id, fences) & (Lease.owner == owner)
        statement = update(Lease).where(mine).values(expires_at=until).returning(Lease.destination_id, Lease.fence)
        rows = self._session.execute(statement.execution_options(synchronize_session=False))
        return {row.destination_id for row in rows if fences[row.destination_id] == row.fence}

    def release(self, fences: Mapping[UUID, int], owner: str, now: datetime) -> None:
        """Let go of destinations, with what was claimed of them and not sent."""
        held = self.renew(fences, owner, now)
        if held:
            self._give_back(among(self._session, Delivery.destination_id, held))

    def give_back(self, ids: Collection[UUID]) -> None:
        """Let deliveries wait again that were claimed and not sent."""
        if ids:
            self._give_back(among(self._session, Delivery.id, ids))

    def fences(self, ids: Collection[UUID]) -> dict[UUID, int]:
        """Return the fences of leases, which nobody can take over before this transaction ends."""
        query = select(Lease.destination_id, Lease.fence).where(among(self._session, Lease.destination_id, ids))
        ordered = query.order_by(Lease.destination_id).with_for_update(read=True)
        return {row.destination_id: row.fence for row in self._session.execute(ordered)}

    def _give_back(self, condition: object) -> None:
        waiting = case((Delivery.tries == 0, DeliveryState.PENDING), else_=DeliveryState.RETRYING)
        sending = (Delivery.state == DeliveryState.SENDING) & Delivery.due_at.is_not(None)
        statement = update(Delivery).where(condition, sending).values(state=waiting)  # type: ignore[arg-type]  # A condition.
        self._session.execute(statement.execution_options(synchronize_session=False))
