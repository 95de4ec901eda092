"""What is known of users does not depend on the order in which it was heard, nor on how often."""

from typing import Any
from uuid import UUID

from sqlalchemy import select

import event_contracts as contracts
from service_chassis.clock import ManualClock
from service_chassis.messaging.envelope import Outgoing
from service_chassis.testing.conformance.projection import check_projection
from service_chassis.unit_of_work import Units
from task_service.messaging.subscriptions import subscriptions
from task_service.model.known_user import KnownUser
from task_service.persistence.unit_of_work import UnitOfWork


def known(uow: UnitOfWork) -> dict[UUID, Any]:
    rows = uow.session.scalars(select(KnownUser))
    return {
        row.user_id: (row.role, row.status, row.reactivated_at, row.version, row.name, row.username) for row in rows
    }


def test_any_order_and_repetition_of_a_history_comes_to_the_same(
    units: Units[UnitOfWork], people: Any, clock: ManualClock
) -> None:
    anna, bert = people.has(told=False), people.has(told=False)
    history: list[Outgoing | list[Outgoing]] = [[people.registered(anna), people.registered(bert)]]
    for user in (anna, bert):
        people._change(user, status="deactivated")
        history.append(people.event(contracts.UserDeactivated, user))
        people._change(user, status="active", reactivated_at=clock.now())
        history.append(people.event(contracts.UserReactivated, user))
        people.is_called(user, "Somebody", f"the {user}", told=False)
        history.append(people.updated(user))
    people._change(anna, role="manager")
    history.append(people.updated(anna))
    people.deactivates(anna, told=False)
    history.append(people.event(contracts.UserDeactivated, anna))
    history.append(Outgoing(contracts.UserPurged(user_id=bert, purged_at=clock.now()), version=5))

    check_projection(units, subscriptions(), history, known, examples=30)


def test_the_end_of_a_history_is_what_is_known(units: Units[UnitOfWork], people: Any, clock: ManualClock) -> None:
    """C-33: states without names leave those that are known."""
    anna, bert = people.has(name="Anna", username="annie"), people.has(name="Bert")
    people.deactivates(anna)
    people.reactivates(anna)
    people.becomes(anna, "manager")
    people.purges(bert)

    with units.read() as uow:
        assert known(uow) == {
            anna: ("manager", "active", clock.now(), 4, "Anna", "annie"),
            bert: ("user", "purged", None, 2, None, None),
        }


def test_an_alert_about_an_assignee_does_not_depend_on_the_order_either(desk: Any, people: Any, hear: Any) -> None:
    anna = people.has()
    (task,) = desk.assigns(anna)
    people.deactivates(anna, told=False)
    off = people.event(contracts.UserDeactivated, anna)
    people.reactivates(anna, told=False)
    on = people.event(contracts.UserReactivated, anna)

    hear([on])
    hear([off])
    assert desk.alerts() == set()

    people.deactivates(anna)
    hear([on])
    assert desk.alerts() == {(task, "assignee_deactivated")}


def test_a_name_that_comes_after_a_newer_state_without_one_is_learnt_and_kept(
    units: Units[UnitOfWork], people: Any, hear: Any
) -> None:
    """C-33."""
    anna = people.has(name="Anna", told=False)
    people.is_called(anna, "Anna Lund", "annie", told=False)
    renamed = people.updated(anna)
    people.deactivates(anna)

    hear([renamed])
    people.reactivates(anna)

    with units.read() as uow:
        assert known(uow)[anna][4:] == ("Anna Lund", "annie")
