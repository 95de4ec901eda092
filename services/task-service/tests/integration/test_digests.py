"""Managers with more new alerts than they would look at one by one are written to."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from event_contracts import AlertDigestDue
from service_chassis.testing.service import Published
from service_chassis.unit_of_work import Units
from task_service.model.actor import Actor
from task_service.persistence.unit_of_work import UnitOfWork

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OVER = 3


@pytest.fixture
def boss(desk: Any, people: Any) -> Actor:
    """A manager task-service knows of; a letter comes for more than three alerts."""
    desk.rules = replace(desk.rules, digest_over=OVER)
    return Actor(people.has(role="manager"), manages=True)


def counts(published: Published) -> list[tuple[int, int, int]]:
    data = [event.data for event in published(AlertDigestDue)]
    return [(digest.missed, digest.due_soon, digest.assignee_deactivated) for digest in data]


def test_more_alerts_than_the_limit_make_one_letter(desk: Any, people: Any, boss: Actor, published: Published) -> None:
    anna, bert = people.has(), people.has()
    desk.misses(anna, 2, by=boss)
    desk.assigns(bert, due=3 * DAY, by=boss)
    people.deactivates(bert)
    desk.assigns(anna, by=boss)
    desk.sweeps()

    assert counts(published) == [(2, 1, 1)]
    assert published(AlertDigestDue)[0].data.manager_id == boss.id


def test_up_to_the_limit_nobody_is_written_to_and_the_alerts_count_later(
    desk: Any, people: Any, boss: Actor, published: Published
) -> None:
    desk.misses(people.has(), OVER, by=boss)
    desk.sweeps()
    assert counts(published) == []

    desk.misses(people.has(), by=boss)
    desk.sweeps()

    assert counts(published) == [(OVER + 1, 0, 0)]


def test_what_a_letter_told_is_not_told_again(desk: Any, people: Any, boss: Actor, published: Published) -> None:
    desk.misses(people.has(), OVER + 1, by=boss)
    desk.sweeps()
    desk.misses(people.has(), OVER, by=boss)
    desk.sweeps()
    assert len(counts(published)) == 1

    desk.misses(people.has(), by=boss)
    desk.sweeps()

    assert counts(published) == [(OVER + 1, 0, 0)] * 2


def test_what_the_manager_has_read_is_not_told(desk: Any, people: Any, boss: Actor, published: Published) -> None:
    desk.misses(people.has(), OVER, by=boss)
    desk.sweeps()
    with desk.units.write() as uow:
        uow.alerts.read(boss.id, range(1_000), uow.now)

    desk.misses(people.has(), OVER, by=boss)
    desk.sweeps()

    assert counts(published) == []


def test_each_manager_is_told_of_the_tasks_they_gave_out(
    desk: Any, people: Any, boss: Actor, published: Published
) -> None:
    other = Actor(people.has(role="admin"), manages=True)
    desk.misses(people.has(), OVER + 2, by=boss)
    desk.misses(people.has(), OVER + 1, by=other)
    desk.sweeps()

    told = {event.data.manager_id: event.data.missed for event in published(AlertDigestDue)}
    assert told == {boss.id: OVER + 2, other.id: OVER + 1}


def test_who_manages_no_longer_gets_no_letter(desk: Any, people: Any, boss: Actor, published: Published) -> None:
    people.becomes(boss.id, "user")
    desk.misses(people.has(), OVER + 1, by=boss)

    desk.sweeps()

    assert counts(published) == []


def test_alerts_that_came_between_sweeps_are_a_reason_to_sweep(
    desk: Any, people: Any, boss: Actor, published: Published, units: Units[UnitOfWork]
) -> None:
    anna = people.has()
    desk.assigns(anna, due=3 * DAY, count=OVER + 1, by=boss)
    assert not desk.has_to_sweep()

    people.deactivates(anna)

    assert desk.has_to_sweep()
    desk.sweeps()
    assert counts(published) == [(0, 0, OVER + 1)]
    assert not desk.has_to_sweep()


def test_a_manager_who_was_switched_off_is_not_written_to(
    desk: Any, people: Any, boss: Actor, published: Published
) -> None:
    desk.misses(people.has(), OVER + 1, by=boss)
    people.deactivates(boss.id)

    desk.sweeps()

    assert counts(published) == []
