"""What is known of users is what user-service knows, whatever went wrong before."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry
from sqlalchemy import select

import event_contracts as contracts
from service_chassis.logs import make_log
from service_chassis.messaging.envelope import Outgoing
from service_chassis.metrics import Metrics
from service_chassis.snapshots.projection import Projected, Projection
from service_chassis.snapshots.rows import Rows
from service_chassis.testing.conformance.equality import check_equality
from service_chassis.testing.owner import MemoryOwner
from service_chassis.unit_of_work import Units
from task_service.messaging.subscriptions import subscriptions
from task_service.model.known_user import HELD, PURGED, USERS, KnownUser
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases import projection

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
ROLES = ("user", "manager")


def tell(user: UUID, number: int | None, version: int) -> Outgoing:
    """Tell of a user whose number is kept in the role."""
    if number is None:
        return Outgoing(contracts.UserPurged(user_id=user, purged_at=NOON), version=version)
    state: dict[str, Any] = {"number": 1, "status": "active", "email": "", "name": "", "registered_at": NOON}
    event = contracts.UserUpdated(user_id=user, role=ROLES[number], last_activity_at=NOON, **state)
    return Outgoing(event, version=version)


def read(uow: UnitOfWork) -> dict[UUID, int | None]:
    users = uow.session.scalars(select(KnownUser).where(HELD))
    return {user.user_id: None if user.status == PURGED else ROLES.index(user.role) for user in users}


def test_one_comparison_after_any_history_users_are_those_of_their_owner(units: Units[UnitOfWork]) -> None:
    projected = Projected(
        projections=[Projection(USERS, Rows(KnownUser.user_id, KnownUser.version, HELD), projection.lose)],
        owner=MemoryOwner(tell),
        units=units,
        subscriptions=subscriptions(),
        log=make_log("tests", level="ERROR"),
        metrics=Metrics(CollectorRegistry(), "tests"),
    )
    check_equality(projected, tell, read)
