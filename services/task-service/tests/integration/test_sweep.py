"""What happens when deadlines pass, and when somebody comes to look."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from event_contracts import TaskMissed, TaskMissLimitReached
from service_chassis.clock import ManualClock
from service_chassis.testing.plugin import only_postgresql
from service_chassis.testing.service import Published
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import Units
from task_service.model.task import TaskStatus
from task_service.persistence import tasks
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases.sweep import Done

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_a_task_whose_deadline_has_passed_is_missed_at_its_deadline(
    desk: Any, people: Any, published: Published
) -> None:
    """S3-13: the scheduled job sets overdue tasks to missed, however late it comes."""
    (late,) = desk.assigns(people.has(), due=HOUR)
    (in_time,) = desk.assigns(people.has(), due=4 * HOUR)
    desk.clock.advance(3 * HOUR)

    assert desk.sweeps() == Done(missed=1, due_soon=1)

    task = desk.task(late)
    assert (task.status, task.missed_at, task.version) == (TaskStatus.MISSED, task.deadline, 2)
    assert desk.task(in_time).status == TaskStatus.PENDING
    (event,) = published(TaskMissed)
    assert (event.data.task_id, event.data.missed_at, event.version) == (late, task.deadline, 2)
    with desk.units.read() as uow:
        newest = uow.tasks.history(late)[0]
    assert (newest.action, newest.actor, newest.at) == ("task_missed", None, task.deadline)


def test_a_task_is_not_missed_at_its_deadline_but_after_it(desk: Any, people: Any) -> None:
    desk.assigns(people.has(), due=HOUR)
    desk.clock.advance(HOUR)
    assert desk.sweeps().missed == 0

    desk.clock.advance(timedelta(microseconds=1))

    assert desk.sweeps().missed == 1


def test_a_second_sweep_finds_nothing(desk: Any, people: Any, published: Published) -> None:
    desk.misses(people.has(), 5)
    desk.sweeps()

    assert desk.sweeps() == Done()
    assert (len(published(TaskMissed)), len(published(TaskMissLimitReached))) == (5, 1)


def test_what_is_done_cancelled_or_deleted_is_not_missed(desk: Any, people: Any) -> None:
    done, cancelled, deleted = desk.assigns(people.has(), count=3)
    desk.sets(done, TaskStatus.COMPLETED)
    desk.sets(cancelled, TaskStatus.CANCELLED)
    desk.deletes(deleted)
    desk.clock.advance(2 * HOUR)

    assert desk.sweeps() == Done()


def test_a_sweep_of_many_tasks_takes_them_in_pieces(
    desk: Any, people: Any, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AT_ONCE", dict.fromkeys(tasks.AT_ONCE, 3))
    desk.misses(people.has(), 7)

    assert desk.sweeps() == Done(missed=7, limits_reached=1)
    assert len({event.data.task_id for event in published(TaskMissed)}) == 7


def test_nobody_writes_when_nothing_is_due(desk: Any, people: Any, units: Units[UnitOfWork]) -> None:
    desk.assigns(people.has(), due=3 * DAY)
    assert not desk.has_to_sweep()
    desk.clock.advance(2 * DAY + SECOND)
    assert desk.has_to_sweep()


def test_a_sweep_that_died_before_its_end_leaves_the_consequences_to_the_next(
    desk: Any, people: Any, published: Published
) -> None:
    desk.misses(people.has(), 5)
    desk.begins_to_sweep()
    assert published(TaskMissLimitReached) == []

    assert desk.sweeps() == Done(limits_reached=1)
    assert len(published(TaskMissLimitReached)) == 1


def test_a_step_that_dies_has_done_nothing(desk: Any, people: Any, published: Published) -> None:
    desk.misses(people.has(), 5)

    def dies() -> None:
        with desk.units.write() as uow:
            desk.first_piece(uow)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies()

    assert published(TaskMissed) == []
    assert desk.sweeps() == Done(missed=5, limits_reached=1)


def test_a_clock_set_back_an_hour_makes_nothing_happen_twice_and_loses_nothing(
    desk: Any, people: Any, published: Published, clock: ManualClock
) -> None:
    anna = people.has()
    desk.misses(anna, 5)
    desk.sweeps()

    clock.advance(-HOUR)
    assert desk.sweeps() == Done()
    desk.assigns(anna, due=HOUR / 2)
    clock.advance(HOUR)

    assert desk.sweeps().missed == 1
    assert len(published(TaskMissed)) == 6
    assert len(published(TaskMissLimitReached)) == 1


def test_two_sweepers_at_once_share_the_work_and_do_nothing_twice(
    desk: Any, people: Any, published: Published, units: Units[UnitOfWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AT_ONCE", dict.fromkeys(tasks.AT_ONCE, 3))
    desk.rules = replace(desk.rules, manager_cap=None)
    users = [people.has() for _ in range(6)]
    for _ in range(6):
        for user in users:
            desk.assigns(user)
    desk.clock.advance(2 * HOUR)
    both_ready = threading.Barrier(2)

    def sweeps(_: int) -> Done:
        both_ready.wait()
        return desk.sweeps()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(sweeps, range(2))

    assert first.missed + second.missed == 36
    assert sorted(event.data.task_id for event in published(TaskMissed)) == sorted(task_ids(units))
    assert sorted(event.data.user_id for event in published(TaskMissLimitReached)) == sorted(users)


def task_ids(units: Units[UnitOfWork]) -> list[UUID]:
    with units.read() as uow:
        return [UUID(str(row.id)) for row in uow.session.execute(text("SELECT id FROM tasks"))]


@only_postgresql
def test_a_sweeper_waits_for_another_one_and_counts_its_tasks_too(
    desk: Any, people: Any, monkeypatch: pytest.MonkeyPatch, units: Units[UnitOfWork]
) -> None:
    anna = people.has()
    desk.misses(anna, 5)
    monkeypatch.setattr(tasks, "AT_ONCE", dict.fromkeys(tasks.AT_ONCE, 3))

    with ThreadPoolExecutor(1) as pool:
        with units.write() as first:
            assert desk.first_piece(first).missed == 3
            other = pool.submit(desk.sweeps)
            wait_until(lambda: somebody_waits(units))
        assert other.result(10) == Done(missed=2, limits_reached=1)

    assert [(user, state) for user, _, state in desk.limits()] == [(anna, "released")]


@only_postgresql
def test_who_settles_waits_for_a_sweeper_and_counts_its_tasks_too(
    desk: Any, people: Any, units: Units[UnitOfWork]
) -> None:
    """What is excused after five misses were noticed, if not counted, comes too late to undo them."""
    anna = people.has()
    missed = desk.misses(anna, 5)

    with ThreadPoolExecutor(1) as pool:
        with units.write() as sweeper:
            assert desk.first_piece(sweeper).missed == 5
            excusing = pool.submit(desk.excuses, missed[0])
            wait_until(lambda: somebody_waits(units))
        excusing.result(10)

    assert [(user, state) for user, _, state in desk.limits()] == [(anna, "pending")]


def test_misses_that_a_dead_sweep_left_uncounted_are_counted_before_a_command_changes_them(
    desk: Any, people: Any
) -> None:
    anna = people.has()
    missed = desk.misses(anna, 5)
    desk.begins_to_sweep()

    desk.excuses(missed[0])

    assert desk.sweeps() == Done(limits_reached=1)


def test_a_sweep_has_something_to_do_as_long_as_misses_are_uncounted(
    desk: Any, people: Any, units: Units[UnitOfWork]
) -> None:
    desk.misses(people.has())
    desk.begins_to_sweep()

    assert desk.has_to_sweep()


def somebody_waits(units: Units[UnitOfWork]) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with units.read() as uow:
        return uow.session.execute(text(waiting)).first() is not None
