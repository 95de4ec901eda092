"""The unit of work of task-service: the chassis's, with this service's repositories."""

from collections.abc import Collection
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from service_chassis import correlation
from service_chassis.unit_of_work import UnitOfWork as ChassisUnitOfWork
from task_service.model.history import HistoryEntry
from task_service.model.task import Task
from task_service.persistence.alerts import AlertRepository
from task_service.persistence.known_users import KnownUserRepository
from task_service.persistence.miss_limits import MissLimitRepository
from task_service.persistence.tasks import TaskRepository


class UnitOfWork(ChassisUnitOfWork):
    @cached_property
    def tasks(self) -> TaskRepository:
        return TaskRepository(self.session)

    @cached_property
    def alerts(self) -> AlertRepository:
        return AlertRepository(self.session)

    @cached_property
    def known_users(self) -> KnownUserRepository:
        return KnownUserRepository(self.session)

    @cached_property
    def miss_limits(self) -> MissLimitRepository:
        return MissLimitRepository(self.session)

    @cached_property
    def correlation_id(self) -> str:
        """The id under which the work in hand goes."""
        return (correlation.current() or correlation.fresh()).correlation_id

    def record(
        self, actor: UUID, action: str, task: Task, note: str = "", changes: dict[str, Any] | None = None
    ) -> None:
        """Add to the history of a task who did what, and why."""
        self.session.add(
            HistoryEntry(
                task_id=task.id,
                action=action,
                actor=actor,
                note=note or None,
                changes=changes or None,
                at=self.now,
                correlation_id=self.correlation_id,
            )
        )

    def record_missed(self, task_ids: Collection[UUID], deadlines: Collection[datetime]) -> None:
        """Add to the history of each of many tasks that its deadline passed, which nobody did."""
        self.tasks.record_all(task_ids, deadlines, {"action": "task_missed", "correlation_id": self.correlation_id})
