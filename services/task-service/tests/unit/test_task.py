"""What a task allows, whoever asks and whenever."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from service_chassis.ids import uuid7
from task_service.model.actor import Actor
from task_service.model.errors import (
    DeadlineInPast,
    DeadlinePassed,
    InvalidTransition,
    SameAssignee,
    StaleVersion,
    StatusNotYours,
)
from task_service.model.task import NEXT, Priority, Task, TaskStatus

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FINAL = {TaskStatus.COMPLETED, TaskStatus.CANCELLED, TaskStatus.DELETED}


def task(status: TaskStatus = TaskStatus.PENDING, **changes: Any) -> Task:
    new = Task.assign("Count the bees", "", Priority.NORMAL, NOON + HOUR, to=uuid7(), by=uuid7(), at=NOON)
    new.status = status
    if status is TaskStatus.MISSED:
        new.missed_at = new.deadline
    for name, value in changes.items():
        setattr(new, name, value)
    return new


@pytest.mark.parametrize("late", [timedelta(0), HOUR])
def test_a_deadline_lies_in_the_future(late: timedelta) -> None:
    with pytest.raises(DeadlineInPast):
        Task.assign("", "", Priority.LOW, NOON - late, to=uuid7(), by=uuid7(), at=NOON)


def test_a_deadline_is_kept_in_utc() -> None:
    given = datetime(2030, 1, 15, 15, tzinfo=timezone(timedelta(hours=2)))

    new = Task.assign("", "", Priority.LOW, given, to=uuid7(), by=uuid7(), at=NOON)

    assert (new.deadline, new.deadline.tzinfo) == (NOON + HOUR, UTC)


@pytest.mark.parametrize("before", list(TaskStatus))
@pytest.mark.parametrize("after", list(TaskStatus))
def test_a_manager_moves_a_task_along_the_table_and_no_other_way(before: TaskStatus, after: TaskStatus) -> None:
    one = task(before)
    if after in NEXT.get(before, ()):
        one.correct(after, None, at=NOON)
        assert (one.status, one.version, one.updated_at, one.missed_at) == (after, 2, NOON, None)
        assert one.completed_at == (NOON if after is TaskStatus.COMPLETED else None)
        return
    with pytest.raises(InvalidTransition):
        one.correct(after, None, at=NOON)


@pytest.mark.parametrize("status", [TaskStatus.MISSED, TaskStatus.CANCELLED, TaskStatus.DELETED])
@pytest.mark.parametrize("before", list(TaskStatus))
def test_an_assignee_never_sets_these(before: TaskStatus, status: TaskStatus) -> None:
    """S3-14."""
    with pytest.raises(StatusNotYours):
        task(before).move(status, None, at=NOON)


@pytest.mark.parametrize("late", [timedelta(microseconds=1), HOUR])
@pytest.mark.parametrize("status", [TaskStatus.PENDING, TaskStatus.IN_PROGRESS, TaskStatus.MISSED])
def test_an_assignee_does_nothing_after_the_deadline(status: TaskStatus, late: timedelta) -> None:
    """C-27."""
    one = task(status)
    with pytest.raises(DeadlinePassed):
        one.move(TaskStatus.COMPLETED, 99, at=one.deadline + late)


def test_an_assignee_completes_until_the_very_deadline() -> None:
    one = task()
    one.move(TaskStatus.COMPLETED, 1, at=one.deadline)

    assert one.status == TaskStatus.COMPLETED


def test_a_stale_version_is_refused_and_none_is_not() -> None:
    one = task(version=3)
    with pytest.raises(StaleVersion):
        one.move(TaskStatus.COMPLETED, 2, at=NOON)
    one.move(TaskStatus.IN_PROGRESS, 3, at=NOON)
    one.move(TaskStatus.COMPLETED, None, at=NOON)

    assert one.version == 5


def test_a_missed_task_that_is_extended_is_open_and_counts_no_more() -> None:
    one = task(TaskStatus.MISSED, excused_at=NOON, due_soon_at=NOON)

    one.extend(NOON + 9 * HOUR, at=NOON + 2 * HOUR)

    assert (one.status, one.missed_at, one.excused_at, one.due_soon_at) == (TaskStatus.PENDING, None, None, None)


def test_an_extended_task_that_was_begun_stays_begun() -> None:
    one = task(TaskStatus.IN_PROGRESS)
    one.extend(NOON + 9 * HOUR, at=NOON)

    assert (one.status, one.deadline) == (TaskStatus.IN_PROGRESS, NOON + 9 * HOUR)


@pytest.mark.parametrize("status", sorted(FINAL))
def test_what_is_over_is_neither_extended_nor_excused_nor_handed_on(status: TaskStatus) -> None:
    one = task(status)
    for change in (
        lambda: one.extend(NOON + HOUR, at=NOON),
        lambda: one.excuse(at=NOON),
        lambda: one.reassign(uuid7(), at=NOON),
    ):
        with pytest.raises(InvalidTransition):
            change()


def test_a_task_is_excused_once() -> None:
    one = task(TaskStatus.MISSED)
    one.excuse(at=NOON)
    assert (one.excused, one.status) == (True, TaskStatus.MISSED)
    with pytest.raises(InvalidTransition):
        one.excuse(at=NOON)


def test_a_missed_task_is_not_handed_on_as_it_is() -> None:
    with pytest.raises(InvalidTransition):
        task(TaskStatus.MISSED).reassign(uuid7(), at=NOON)


def test_a_task_handed_on_is_somebody_elses_and_excused_no_more() -> None:
    one, bert = task(excused_at=NOON), uuid7()
    with pytest.raises(SameAssignee):
        one.reassign(one.assignee_id, at=NOON)

    one.reassign(bert, at=NOON)

    assert (one.assignee_id, one.excused, one.version) == (bert, False, 2)


def test_a_task_is_visible_to_its_assignee_and_to_who_manages_tasks() -> None:
    """S3-06, S3-09."""
    one = task()

    assert one.is_visible_to(Actor(one.assignee_id, manages=False))
    assert one.is_visible_to(Actor(uuid7(), manages=True))
    assert not one.is_visible_to(Actor(uuid7(), manages=False))
