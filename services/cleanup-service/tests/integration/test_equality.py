"""What is known of users is what user-service knows, whatever went wrong before."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, select, update

import event_contracts as contracts
from cleanup_service.messaging.subscriptions import subscriptions
from cleanup_service.model.known_user import GONE, HELD, PURGED, USERS, KnownUser
from cleanup_service.model.policy import Policy
from cleanup_service.model.run import RunStatus, Trigger
from cleanup_service.persistence.unit_of_work import UnitOfWork
from cleanup_service.usecases import projection, runs
from service_chassis.logs import make_log
from service_chassis.messaging.envelope import Outgoing
from service_chassis.messaging.topology import Topology
from service_chassis.metrics import Metrics
from service_chassis.service import Service
from service_chassis.snapshots import progress
from service_chassis.snapshots.catching_up import CatchingUp
from service_chassis.snapshots.exchanged import Page, Range
from service_chassis.snapshots.projection import Projected, Projection
from service_chassis.snapshots.rows import Rows
from service_chassis.testing.conformance.equality import IDS, History, check_equality
from service_chassis.testing.owner import MemoryOwner
from service_chassis.testing.service import Hear
from service_chassis.unit_of_work import Units

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
ROLES = ("user", "manager")


def tell(user: UUID, number: int | None, version: int) -> Outgoing:
    """Tell of a user whose number is kept in role and last activity."""
    if number is None:
        return Outgoing(contracts.UserPurged(user_id=user, purged_at=NOON), version=version)
    state: dict[str, Any] = {"number": 1, "status": "active", "email": "", "name": "", "registered_at": NOON}
    event = contracts.UserUpdated(user_id=user, role=ROLES[number % 2], last_activity_at=NOON, **state)
    return Outgoing(event, version=version)


def read(uow: UnitOfWork) -> dict[UUID, int | None]:
    users = uow.session.scalars(select(KnownUser).where(HELD))
    return {user.user_id: None if user.status == PURGED else ROLES.index(user.role) for user in users}


@pytest.fixture
def owner() -> MemoryOwner:
    return MemoryOwner(tell)


@pytest.fixture
def projected(units: Units[UnitOfWork], owner: MemoryOwner) -> Projected:
    return Projected(
        projections=[Projection(USERS, Rows(KnownUser.user_id, KnownUser.version, HELD), projection.lose)],
        owner=owner,
        units=units,
        subscriptions=subscriptions(),
        log=make_log("tests", level="ERROR"),
        metrics=Metrics(CollectorRegistry(), "tests"),
    )


@pytest.fixture
def history(projected: Projected, owner: MemoryOwner) -> History:
    return History(projected, owner, read)


def test_one_comparison_after_any_history_users_are_those_of_their_owner(projected: Projected) -> None:
    check_equality(projected, tell, read)


def test_a_snapshot_is_taken_over_page_by_page_and_goes_on_where_it_was(history: History) -> None:
    for which in range(7):
        history.changed(which, 1)
    catching_up = CatchingUp(history.projected)
    assert catching_up.problem() == "catching_up: users 0 %"

    assert catching_up.step()
    assert catching_up.problem() == "catching_up: users 42 %"
    history.catch_up()

    assert catching_up.problem() is None
    history.check_equal()


def test_a_snapshot_that_begins_again_meanwhile_is_not_mistaken_for_the_one_before(history: History) -> None:
    history.changed(0, 1)
    pages, ask = [], history.owner.page

    def interrupted(name: str, asked: Range) -> Page:
        page = ask(name, asked)
        if not pages:
            # The queue is made anew: whatever was published until now is lost, and the page at hand is of before.
            history.projected.units.clock.advance(timedelta(seconds=1))
            with history.projected.units.write() as uow:
                progress.begin_again(uow.session)
                progress.begin(uow.session, name, uow.now)
            history.changed(0, 0)
        pages.append(page)
        return page

    history.owner.page = interrupted
    history.catch_up()

    assert len(pages) == 2
    history.check_equal()


def test_only_what_differs_is_mended_and_told(history: History, units: Units[UnitOfWork]) -> None:
    for which in range(len(IDS)):
        history.changed(which, 1)
    history.catch_up()
    with units.write() as uow:
        uow.session.execute(update(KnownUser).where(KnownUser.user_id == IDS[3]).values(version=0, role="admin"))
        uow.session.execute(delete(KnownUser).where(KnownUser.user_id == IDS[5]))

    found = history.compared()

    assert found.ids == {"stale": [str(IDS[3])], "missing": [str(IDS[5])], "gone": [], "owner_is_older": []}
    history.check_equal()


def test_a_user_whom_the_owner_lost_is_kept_as_gone_and_comes_back_if_the_owner_finds_it(history: History) -> None:
    history.changed(0, 1)
    history.catch_up()
    kept = dict(history.owner.states)
    history.owner.restored({})
    assert history.compared().counts == {"gone": 1}
    with history.projected.units.read() as uow:
        assert uow.session.get_one(KnownUser, IDS[0]).status == GONE

    history.owner.restored(kept)

    assert history.compared().counts == {"missing": 1}
    history.check_equal()


def test_an_owner_that_was_restored_and_does_not_say_so_is_told_of_and_not_followed(history: History) -> None:
    history.changed(0, 1)
    kept = dict(history.owner.states)
    history.changed(0, 0)
    history.catch_up()
    history.owner.states = kept

    assert history.compared().counts == {"owner_is_older": 1}
    with history.projected.units.read() as uow:
        assert read(uow) == {IDS[0]: 0}


def test_nothing_is_planned_while_a_snapshot_is_under_way(units: Units[UnitOfWork], policy: Policy, hear: Hear) -> None:
    with units.write() as uow:
        run = runs.start(uow, policy, Trigger.MANUAL)
    hear([Outgoing(contracts.UserWatermark(as_of=units.clock.now() + timedelta(seconds=1)))])

    with units.write() as uow:
        assert not runs.advance(uow, policy)
        assert uow.runs.get(run.id).status == RunStatus.PLANNED
        progress.begin(uow.session, USERS, uow.now)
        progress.advance(uow.session, progress.of(uow.session, USERS), Page([], None), uow.now)
        runs.advance(uow, policy)
        assert uow.runs.get(run.id).status != RunStatus.PLANNED


def test_a_queue_that_is_made_anew_lets_the_snapshot_begin_again(service: Service, units: Units[UnitOfWork]) -> None:
    worker = service.make_worker()
    worker.declare()
    with units.write() as uow:
        progress.begin(uow.session, USERS, uow.now)
        progress.advance(uow.session, progress.of(uow.session, USERS), Page([], None), uow.now)
    worker.declare()
    assert is_finished(units)

    worker._parts.broker.delete(Topology(queues=worker.topology.queues))
    worker.declare()

    assert not is_finished(units)
    worker._parts.broker.close()


def is_finished(units: Units[UnitOfWork]) -> bool:
    with units.read() as uow:
        return progress.of(uow.session, USERS).finished
