"""From a change to its contract; the only place where this service builds events."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import event_contracts as contracts
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Outgoing
from task_service.model.alert import AlertKind
from task_service.model.miss_limit import MissLimit
from task_service.model.task import Task


def task_assigned(task: Task, previous_assignee_id: UUID | None = None) -> Outgoing:
    event = contracts.TaskAssigned(**_state(task), previous_assignee_id=previous_assignee_id)
    return Outgoing(event, version=task.version)


def task_changed(task: Task, previous_status: str, actor_id: UUID) -> Outgoing:
    previous: Any = previous_status
    event = contracts.TaskStatusChanged(**_state(task), previous_status=previous, actor_id=actor_id)
    return Outgoing(event, version=task.version)


def task_missed(task: Any) -> Outgoing:
    """Tell that a deadline has passed; takes a row of the task's columns."""
    event = contracts.TaskMissed(
        task_id=task.id,
        assignee_id=task.assignee_id,
        creator_id=task.creator_id,
        status=task.status,
        priority=task.priority,
        deadline=task.deadline,
        excused=task.excused,
        missed_at=task.deadline,
    )
    return Outgoing(event, version=task.version)


def miss_limit_reached(limit: MissLimit) -> Outgoing:
    return Outgoing(
        contracts.TaskMissLimitReached(
            limit_id=limit.id,
            user_id=limit.user_id,
            missed=limit.missed,
            counted_from=limit.counted_from,
            reached_at=limit.reached_at,
        )
    )


def alert_digest_due(manager_id: UUID, unread: Mapping[str, int]) -> Outgoing:
    return Outgoing(
        contracts.AlertDigestDue(
            digest_id=uuid7(),
            manager_id=manager_id,
            missed=unread.get(AlertKind.MISSED, 0),
            due_soon=unread.get(AlertKind.DUE_SOON, 0),
            assignee_deactivated=unread.get(AlertKind.ASSIGNEE_DEACTIVATED, 0),
            consequence_held=unread.get(AlertKind.CONSEQUENCE_HELD, 0),
        )
    )


def _state(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "assignee_id": task.assignee_id,
        "creator_id": task.creator_id,
        "status": task.status,
        "priority": task.priority,
        "deadline": task.deadline,
        "excused": task.excused,
        "missed_at": task.missed_at,
    }
