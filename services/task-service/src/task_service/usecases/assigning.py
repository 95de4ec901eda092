"""Giving tasks to people, who have to be there to do them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from task_service.messaging import publications
from task_service.model.actor import Actor
from task_service.model.alert import AlertKind
from task_service.model.rules import MissRules
from task_service.model.task import Priority, Task
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases.directory import OwnersAnswer, check_assignees
from task_service.usecases.tasks import settled


def assign(
    uow: UnitOfWork,
    title: str,
    description: str,
    priority: Priority,
    deadline: datetime,
    *,
    to: Sequence[UUID],
    newer: Sequence[OwnersAnswer],
    by: Actor,
) -> list[Task]:
    """Make the same task for each of these users. Raises DeadlineInPast, UnknownAssignee."""
    tasks = [Task.assign(title, description, priority, deadline, to=user_id, by=by.id, at=uow.now) for user_id in to]
    check_assignees(uow, to, newer)
    uow.tasks.add_all(tasks)
    for task in tasks:
        uow.record(by.id, "task_assigned", task)
    uow.publish_all(publications.task_assigned(task) for task in tasks)
    return tasks


def reassign(
    uow: UnitOfWork,
    rules: MissRules,
    task_id: UUID,
    assignee_id: UUID,
    note: str,
    *,
    newer: Sequence[OwnersAnswer],
    version: int | None,
    by: Actor,
) -> Task:
    """Hand an open task to somebody else.

    Raises TaskNotFound, StaleVersion, InvalidTransition, SameAssignee, UnknownAssignee.
    """
    task = settled(uow, rules, task_id, by)
    task.check_version(version)
    before = task.assignee_id
    task.reassign(assignee_id, at=uow.now)
    check_assignees(uow, [assignee_id], newer)
    uow.alerts.withdraw([task.id], (AlertKind.ASSIGNEE_DEACTIVATED,))
    changed = {"assignee_id": [str(before), str(assignee_id)]}
    uow.record(by.id, "task_reassigned", task, note, changed)
    uow.publish(publications.task_assigned(task, before))
    return task
