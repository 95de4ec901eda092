"""Time passes: tasks are missed by their deadlines, managers are alerted, and consequences follow.

Each step is a transaction that can be repeated, so a sweep goes on where it was when the process died; two at once
share the work. What a sweep finds does not depend on when it comes: tasks are missed at their deadlines.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from task_service.messaging import publications
from task_service.model.alert import AlertKind
from task_service.model.rules import MissRules
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases import consequences, digests


@dataclass(frozen=True, slots=True)
class Done:
    """What steps of a sweep did."""

    missed: int = 0
    due_soon: int = 0
    limits_reached: int = 0
    limits_held: int = 0

    def __add__(self, other: "Done") -> "Done":
        return Done(
            self.missed + other.missed,
            self.due_soon + other.due_soon,
            self.limits_reached + other.limits_reached,
            self.limits_held + other.limits_held,
        )


def is_due(uow: UnitOfWork, rules: MissRules) -> bool:
    """Say whether a pass would find anything to do."""
    return (
        uow.tasks.anything_due(uow.now, rules.due_soon)
        or uow.miss_limits.any_uncounted()
        or uow.miss_limits.any_pending()
        or uow.alerts.any_digest_due()
    )


def miss(uow: UnitOfWork, ids: Sequence[UUID]) -> Done:
    """Let tasks be missed whose deadline has passed, in any order and by as many hands as there are."""
    missed = uow.tasks.miss(ids, uow.now)
    if missed:
        ids = [task.id for task in missed]
        uow.alerts.withdraw(ids, (AlertKind.DUE_SOON, AlertKind.ASSIGNEE_DEACTIVATED))
        uow.alerts.raise_all(missed, AlertKind.MISSED, uow.now)
        uow.record_missed(ids, [task.deadline for task in missed])
        uow.publish_all(publications.task_missed(task) for task in missed)
        uow.miss_limits.note(_first_misses(missed), uow.correlation_id)
    return Done(missed=len(missed))


def follow_up(uow: UnitOfWork, rules: MissRules) -> tuple[Done, bool]:
    """Take the next step once nothing is due: announce what is near, count misses, write to managers, tell limits.

    Return what it did, and whether another step of this pass is to follow.
    """
    if soon := uow.tasks.announce(uow.now, rules.due_soon):
        uow.alerts.raise_all(soon, AlertKind.DUE_SOON, uow.now)
        return Done(due_soon=len(soon)), True
    if consequences.count(uow, rules) or digests.tell(uow, rules.digest_over):
        return Done(), True
    released, held = consequences.release(uow, rules)
    return Done(limits_reached=released, limits_held=held), False


def settle(uow: UnitOfWork, rules: MissRules, assignee_id: UUID) -> None:
    """Do for one assignee what a sweep would have done by now, before a command changes what it would find."""
    while due := uow.tasks.due(uow.now, assignee_id):
        miss(uow, due)
    consequences.count(uow, rules, assignee_id)


def _first_misses(missed: Sequence[Any]) -> dict[UUID, datetime]:
    """Return when each assignee has missed the first of these tasks."""
    first: dict[UUID, datetime] = {}
    for task in missed:
        known = first.get(task.assignee_id)
        if known is None or task.deadline < known:
            first[task.assignee_id] = task.deadline
    return first
