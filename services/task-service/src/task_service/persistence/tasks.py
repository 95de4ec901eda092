"""Tasks: looked up one by one, listed page by page, and moved by the clock many at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, case, func, literal, literal_column, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from service_chassis.database.paging import Order, Page, Paging, ascending, descending, fetch_page
from service_chassis.database.statements import among, insert_many
from task_service.model.errors import TaskNotFound
from task_service.model.history import HistoryEntry
from task_service.model.known_user import ACTIVE, LIABLE_ROLE, KnownUser
from task_service.model.miss_limit import Miss
from task_service.model.rules import MissRules
from task_service.model.task import Task, TaskStatus

# Literals, because a planner that sees parameters cannot tell that a partial index answers the question.
OPEN = Task.status.in_((literal_column("'pending'"), literal_column("'in_progress'")))
UNDONE = Task.status.in_((literal_column("'pending'"), literal_column("'in_progress'"), literal_column("'missed'")))
MISSED = Task.status == literal_column("'missed'")
KEPT = Task.status != literal_column("'deleted'")
SORTS = {
    "created": ascending(Task.id),
    "-created": descending(Task.id),
    "deadline": ascending(Task.deadline, Task.id),
    "-deadline": descending(Task.deadline, Task.id),
}
NEWEST_FIRST = "-created"
PUBLIC = (
    Task.id,
    Task.assignee_id,
    Task.creator_id,
    Task.status,
    Task.priority,
    Task.deadline,
    Task.excused_at.is_not(None).label("excused"),
    Task.version,
)
"""What events and alerts need of a task."""
AT_ONCE = {"postgresql": 2_000, "sqlite": 500}
"""Tasks the clock moves in one transaction; on SQLite nobody else writes meanwhile."""
LOOKED_UP = 100_000
"""Tasks whose deadline has passed that are looked up at once; their ids stay in memory until they are moved."""
COUNTED = 1_000
"""How far a list is counted; the rest of a longer one is reached with a cursor."""
SHOWN = tuple(status for status in TaskStatus if status is not TaskStatus.DELETED)


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks a list holds; what is None does not restrict."""

    status: str | None = None
    assignee_id: UUID | None = None
    creator_id: UUID | None = None
    assignee_status: str | None = None
    deadline_from: datetime | None = None
    deadline_to: datetime | None = None
    overdue: bool | None = None
    text: str | None = None
    order: Order = SORTS[NEWEST_FIRST]

    def only_of(self, assignee_id: UUID) -> "TaskFilter":
        """Return the same filter for the tasks of one user."""
        return replace(self, assignee_id=assignee_id)

    def conditions(self, now: datetime) -> list[ColumnElement[bool]]:
        found = [KEPT, *self._equalities()]
        if self.assignee_status is not None:
            found.append(
                Task.assignee_id.in_(select(KnownUser.user_id).where(KnownUser.status == self.assignee_status))
            )
        if self.deadline_from is not None:
            found.append(Task.deadline >= self.deadline_from)
        if self.deadline_to is not None:
            found.append(Task.deadline < self.deadline_to)
        if self.overdue is not None:
            overdue = UNDONE & (Task.deadline < now)
            found.append(overdue if self.overdue else ~overdue)
        if self.text is not None:
            found.append(func.lower(Task.title).contains(self.text.lower(), autoescape=True))
        return found

    def _equalities(self) -> list[ColumnElement[bool]]:
        wanted = {Task.status: self.status, Task.assignee_id: self.assignee_id, Task.creator_id: self.creator_id}
        return [column == value for column, value in wanted.items() if value is not None]


class TaskRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add_all(self, tasks: Collection[Task]) -> None:
        self._session.add_all(tasks)

    def get(self, task_id: UUID) -> Task:
        """Return a task. Raises TaskNotFound."""
        return self._found(select(Task).where(Task.id == task_id, KEPT))

    def locked(self, task_id: UUID) -> Task:
        """Return a task as it stands now, locked until this transaction ends. Raises TaskNotFound."""
        locking = select(Task).where(Task.id == task_id, KEPT).with_for_update()
        return self._found(locking.execution_options(populate_existing=True))

    def page(self, chosen: TaskFilter, paging: Paging, now: datetime) -> Page[Task]:
        """Return a piece of the list of tasks. Raises InvalidCursor."""
        wanted = select(Task).where(*chosen.conditions(now))
        return fetch_page(self._session, wanted, chosen.order, paging, count_up_to=COUNTED)

    def history(self, task_id: UUID) -> Sequence[HistoryEntry]:
        """Return what happened to a task, newest first."""
        entries = select(HistoryEntry).where(HistoryEntry.task_id == task_id)
        return list(self._session.scalars(entries.order_by(HistoryEntry.at.desc(), HistoryEntry.id.desc())))

    def record_all(self, ids: Collection[UUID], instants: Collection[datetime], same: dict[str, Any]) -> None:
        """Add one entry to the history of each of many tasks."""
        columns: dict[str, list[Any]] = {"task_id": list(ids), "at": list(instants)}
        insert_many(self._session, cast("Table", HistoryEntry.__table__), columns, same=same)

    def due(self, now: datetime, assignee_id: UUID | None = None) -> list[UUID]:
        """Return the first tasks whose deadline has passed, of one assignee or of all, in the order of their ids.

        That is the order in which they lie in the table, so that what is moved together lies together.
        """
        whose = literal(True) if assignee_id is None else Task.assignee_id == assignee_id
        first = select(Task.id).where(OPEN, Task.deadline < now, whose).order_by(Task.deadline, Task.id)
        chosen = first.limit(LOOKED_UP).subquery()
        return list(self._session.scalars(select(chosen.c.id).order_by(chosen.c.id)))

    def miss(self, ids: Sequence[UUID], now: datetime) -> Sequence[Any]:
        """Let those of these tasks be missed at their deadlines that nobody has seen to; return what events tell."""
        statement = (
            update(Task)
            .where(among(self._session, Task.id, ids), OPEN, Task.deadline < now)
            .values(status=TaskStatus.MISSED, missed_at=Task.deadline, updated_at=now, version=Task.version + 1)
            .returning(*PUBLIC)
        )
        return self._session.execute(statement.execution_options(synchronize_session=False)).all()

    def announce(self, now: datetime, within: timedelta) -> Sequence[Any]:
        """Note of the first tasks whose deadline is near that managers are alerted now; return ids and creators."""
        near = (Task.deadline < now + within) & Task.due_soon_at.is_(None)
        # What somebody is changing right now is left to the next sweep.
        first = (
            select(Task.id)
            .where(OPEN, near)
            .order_by(Task.deadline, Task.id)
            .limit(AT_ONCE[self._session.get_bind().dialect.name])
        )
        soon = first.with_for_update(skip_locked=True).cte("chosen")
        statement = update(Task).where(Task.id == soon.c.id).values(due_soon_at=now)
        told = statement.returning(Task.id, Task.creator_id)
        return self._session.execute(told.execution_options(synchronize_session=False)).all()

    def anything_due(self, now: datetime, within: timedelta) -> bool:
        """Say whether a task has been missed, or is due soon and nobody knows."""
        missed = select(Task.id).where(OPEN, Task.deadline < now).limit(1)
        near = select(Task.id).where(OPEN, Task.due_soon_at.is_(None), Task.deadline < now + within).limit(1)
        return any(self._session.scalar(query) is not None for query in (missed, near))

    def misses(self, users: Collection[UUID], rules: MissRules, since: datetime) -> list[Miss]:
        """Return the misses of these users from an instant on, each with the one a limit's number of misses before it.

        Only misses count that are not excused and came after the user's last reactivation, of users who can be held
        to account.
        """
        so_many_before = func.lag(Task.missed_at, rules.limit - 1, type_=Task.missed_at.type).over(
            partition_by=Task.assignee_id, order_by=(Task.missed_at, Task.id)
        )
        counting = (
            select(Task.id, Task.assignee_id, Task.creator_id, Task.missed_at, KnownUser.reactivated_at)
            .add_columns(so_many_before.label("counted_from"))
            .join(KnownUser, KnownUser.user_id == Task.assignee_id)
            .where(
                MISSED,
                Task.excused_at.is_(None),
                among(self._session, Task.assignee_id, users),
                Task.missed_at > since - rules.window,
                KnownUser.reactivated_at.is_(None) | (Task.missed_at > KnownUser.reactivated_at),
                KnownUser.status == ACTIVE,
                KnownUser.role == LIABLE_ROLE,
            )
            .subquery()
        )
        found = counting.c
        since_then = select(
            found.assignee_id, found.creator_id, found.missed_at, found.counted_from, found.reactivated_at
        ).where(found.counted_from.is_not(None), found.missed_at >= since)
        return [Miss(*row) for row in self._session.execute(since_then.order_by(found.missed_at, found.id))]

    def summary(self, by: InstrumentedAttribute[UUID], chosen: TaskFilter, paging: Paging, now: datetime) -> Page[Any]:
        """Return how many tasks in each status there are per assignee or creator. Raises InvalidCursor."""
        counts = [func.sum(case((Task.status == status, 1), else_=0)).label(status.value) for status in SHOWN]
        total = func.count().label("total")
        grouped = select(by.label("user_id"), *counts, total).where(*chosen.conditions(now)).group_by(by)
        return fetch_page(self._session, grouped, ascending(by), paging)

    def _found(self, query: Select[Task]) -> Task:
        task = self._session.scalar(query)
        if task is None:
            raise TaskNotFound
        return task
