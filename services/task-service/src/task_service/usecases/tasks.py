"""What people do with tasks. Each command first lets the clock do what it would have done by now."""

from datetime import datetime
from typing import Any
from uuid import UUID

from task_service.messaging import publications
from task_service.model.actor import Actor
from task_service.model.alert import AlertKind
from task_service.model.errors import TaskNotFound
from task_service.model.rules import MissRules
from task_service.model.task import Priority, Task, TaskStatus
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases import sweep


def find(uow: UnitOfWork, task_id: UUID, by: Actor) -> Task:
    """Return a task; one that is none of the actor's business is not found. Raises TaskNotFound."""
    return _shown(uow.tasks.get(task_id), by)


def change_status(
    uow: UnitOfWork, rules: MissRules, task_id: UUID, status: TaskStatus, note: str, *, version: int | None, by: Actor
) -> Task:
    """Move a task on, or correct one that was missed.

    Raises TaskNotFound, StatusNotYours, DeadlinePassed, StaleVersion, InvalidTransition.
    """
    task = settled(uow, rules, task_id, by)
    before = task.status
    take = task.correct if by.manages else task.move
    take(status, version, at=uow.now)
    if not task.is_open:
        uow.alerts.withdraw([task.id], AlertKind)
    uow.record(by.id, "task_status_changed", task, note, {"status": [before, task.status]})
    uow.publish(publications.task_changed(task, before, by.id))
    return task


def edit(
    uow: UnitOfWork, rules: MissRules, task_id: UUID, changes: dict[str, Any], *, version: int | None, by: Actor
) -> Task:
    """Change what a task says. Raises TaskNotFound, StaleVersion."""
    task = settled(uow, rules, task_id, by)
    task.check_version(version)
    before = {name: getattr(task, name) for name in ("title", "description", "priority")}
    after = before | changes
    task.edit(after["title"], after["description"], Priority(after["priority"]), at=uow.now)
    changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
    uow.record(by.id, "task_edited", task, changes=changed)
    uow.publish(publications.task_changed(task, task.status, by.id))
    return task


def extend(
    uow: UnitOfWork, rules: MissRules, task_id: UUID, deadline: datetime, note: str, *, version: int | None, by: Actor
) -> Task:
    """Give a task a new deadline; a missed one is open again and counts no more.

    Raises TaskNotFound, StaleVersion, InvalidTransition, DeadlineInPast.
    """
    task = settled(uow, rules, task_id, by)
    task.check_version(version)
    before, old = task.status, task.deadline
    task.extend(deadline, at=uow.now)
    uow.alerts.withdraw([task.id], (AlertKind.MISSED, AlertKind.DUE_SOON))
    uow.alerts.follow_assignees([task.assignee_id], uow.now)
    changed = {"deadline": [old.isoformat(), task.deadline.isoformat()], "status": [before, task.status]}
    uow.record(by.id, "task_extended", task, note, changed)
    uow.publish(publications.task_changed(task, before, by.id))
    return task


def excuse(uow: UnitOfWork, rules: MissRules, task_id: UUID, note: str, *, version: int | None, by: Actor) -> Task:
    """Let a task not count against its assignee. Raises TaskNotFound, StaleVersion, InvalidTransition."""
    task = settled(uow, rules, task_id, by)
    task.check_version(version)
    task.excuse(at=uow.now)
    uow.record(by.id, "task_excused", task, note)
    uow.publish(publications.task_changed(task, task.status, by.id))
    return task


def delete(uow: UnitOfWork, rules: MissRules, task_id: UUID, *, by: Actor) -> None:
    """Take a task from sight; it is kept. Raises TaskNotFound."""
    task = settled(uow, rules, task_id, by)
    before = task.status
    task.delete(at=uow.now)
    uow.alerts.withdraw([task.id], AlertKind)
    uow.record(by.id, "task_deleted", task, changes={"status": [before, task.status]})
    uow.publish(publications.task_changed(task, before, by.id))


def settled(uow: UnitOfWork, rules: MissRules, task_id: UUID, by: Actor) -> Task:
    """Return a task, locked, after the clock has done what it would have done by now. Raises TaskNotFound."""
    task = find(uow, task_id, by)
    sweep.settle(uow, rules, task.assignee_id)
    return _shown(uow.tasks.locked(task_id), by)


def _shown(task: Task, by: Actor) -> Task:
    if not task.is_visible_to(by):
        raise TaskNotFound
    return task
