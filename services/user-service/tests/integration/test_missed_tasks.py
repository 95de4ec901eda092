"""What becomes of users of whom task-service says that they missed too many tasks."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from event_contracts import Contract, TaskMissLimitReached, UserDeactivated, UserDeactivationRefused
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.conformance.backbone import delivered
from service_chassis.testing.plugin import only_sqlite
from user_service.model.errors import InvalidCredentials
from user_service.model.user import Role, User
from user_service.usecases import lifecycle

Published = Callable[[type[Contract]], list[Event]]
NewUser = Callable[..., User]
StateOf = Callable[[User], User]
DAY = timedelta(days=1)
LIMIT = uuid7()


@pytest.fixture
def told(deliver: Callable[..., None], clock: ManualClock) -> Callable[..., None]:
    """Says as task-service does that somebody missed five tasks, the oldest four days ago."""

    def told(user: UUID, counted_from: timedelta = 4 * DAY) -> None:
        now = clock.now()
        event = TaskMissLimitReached(
            limit_id=LIMIT, user_id=user, missed=5, counted_from=now - counted_from, reached_at=now
        )
        deliver(*delivered(clock, event))

    return told


def test_who_missed_too_many_tasks_is_switched_off_and_signed_out(
    service: Service, new_user: NewUser, told: Callable[..., None], state_of: StateOf, published: Published
) -> None:
    """S3-15, C-21: user-service does it, for a reason of its own."""
    anna = new_user("anna")
    service.parts.sign_in(anna.email, "correct horse")

    told(anna.id)

    now = state_of(anna)
    assert (now.status, now.deactivation_reason, now.deactivated_by_run) == ("deactivated", "missed_tasks", None)
    (event,) = published(UserDeactivated)
    assert (event.data.user_id, event.data.deactivation_reason) == (anna.id, "missed_tasks")
    assert (event.data.run_id, event.data.actor_id) == (None, None)
    with pytest.raises(InvalidCredentials):
        service.parts.sign_in(anna.email, "correct horse")
    with service.units.read() as uow:
        newest = uow.users.whole_history(anna.id)[0]
    assert (newest.action, newest.actor) == ("user_deactivated", "missed-tasks-rule")


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ADMIN])
def test_managers_and_admins_are_left_alone(
    new_user: NewUser,
    told: Callable[..., None],
    state_of: StateOf,
    published: Published,
    role: Role,
) -> None:
    """C-27: only role User is ever deactivated by this rule."""
    mia = new_user("mia", role)

    told(mia.id)

    assert state_of(mia).is_active
    assert refusals(published) == [(mia.id, "exempt_role")]


def test_what_was_missed_before_a_reactivation_counts_no_more(
    service: Service, new_user: NewUser, told: Callable[..., None], published: Published, state_of: StateOf
) -> None:
    """C-20; task-service may not have heard of the reactivation yet."""
    anna = new_user("anna")
    told(anna.id)
    with service.units.write() as uow:
        lifecycle.reactivate(uow, anna.id, "", by=uuid7(), as_role=Role.ADMIN)

    told(anna.id, counted_from=timedelta(0))
    assert state_of(anna).is_active
    assert refusals(published) == [(anna.id, "active_since_plan")]

    told(anna.id, counted_from=-timedelta(microseconds=1))
    assert not state_of(anna).is_active


@only_sqlite
def test_who_is_off_already_or_unknown_is_answered_all_the_same(
    new_user: NewUser, told: Callable[..., None], published: Published
) -> None:
    anna, nobody = new_user("anna"), uuid7()

    told(anna.id)
    told(anna.id)
    told(nobody)

    assert len(published(UserDeactivated)) == 1
    assert refusals(published) == [(anna.id, "already_inactive"), (nobody, "unknown_user")]


def refusals(published: Published) -> list[tuple[UUID, str]]:
    events = published(UserDeactivationRefused)
    assert {event.data.run_id for event in events} <= {LIMIT}
    return [(event.data.user_id, event.data.reason) for event in events]
