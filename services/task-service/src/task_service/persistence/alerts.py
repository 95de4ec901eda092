"""Alerts: raised and withdrawn many at a time, and read by each manager for themselves."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Table, case, delete, exists, func, select
from sqlalchemy.orm import Session

from service_chassis.database.paging import Page, Paging, descending, fetch_page
from service_chassis.database.statements import among, insert_many, insert_new
from task_service.model.alert import Alert, AlertDigest, AlertKind, AlertRead
from task_service.model.known_user import ACTIVE, MANAGING_ROLES, KnownUser
from task_service.model.miss_limit import LimitState, MissLimit
from task_service.model.task import Task
from task_service.persistence.tasks import COUNTED, OPEN


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts a list holds; what is None does not restrict."""

    kind: str | None = None
    read: bool | None = None
    assignee_id: UUID | None = None
    creator_id: UUID | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        wanted = {Alert.kind: self.kind, Task.assignee_id: self.assignee_id, Task.creator_id: self.creator_id}
        found: list[ColumnElement[bool]] = [column == value for column, value in wanted.items() if value is not None]
        if self.read is not None:
            found.append(AlertRead.read_at.is_not(None) if self.read else AlertRead.read_at.is_(None))
        return found


@dataclass(slots=True)
class Unread:
    """How many new alerts of each kind a manager has not read, and the number of the newest."""

    by_kind: dict[str, int] = field(default_factory=dict)
    up_to: int = 0


class AlertRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def raise_all(self, tasks: Sequence[Any], kind: AlertKind, at: datetime) -> None:
        """Raise an alert for each of these tasks, given by id and creator, that has none of the kind."""
        columns = {"task_id": [task.id for task in tasks], "manager_id": [task.creator_id for task in tasks]}
        insert_many(self._session, _TABLE, columns, same={"kind": kind, "raised_at": at}, amend=_if_new)
        self._want_digests(set(columns["manager_id"]))

    def withdraw(self, task_ids: Collection[UUID], kinds: Iterable[AlertKind]) -> None:
        """Take alerts back whose reason is gone."""
        if not task_ids:
            return
        chosen = among(self._session, Alert.task_id, task_ids) & Alert.kind.in_(list(kinds))
        self._session.execute(delete(Alert).where(chosen).execution_options(synchronize_session=False))

    def follow_limits(self, limits: Sequence[MissLimit], at: datetime) -> None:
        """Let an alert stand for each of these consequences, at the task that led to it, exactly if it is held."""
        users = [limit.user_id for limit in limits]
        theirs = select(Task.id).where(among(self._session, Task.assignee_id, users))
        decided = theirs.where(~exists().where(_LED_TO_IT, MissLimit.state == LimitState.HELD))
        gone = (Alert.kind == AlertKind.CONSEQUENCE_HELD) & Alert.task_id.in_(decided)
        self._session.execute(delete(Alert).where(gone).execution_options(synchronize_session=False))
        # Of several tasks that were missed at the same instant one is enough.
        place = func.row_number().over(partition_by=MissLimit.id, order_by=Task.id).label("place")
        led_to_it = (
            select(Task.id, Task.creator_id, place)
            .join(MissLimit, _LED_TO_IT & (MissLimit.state == LimitState.HELD))
            .where(among(self._session, Task.assignee_id, users))
            .subquery()
        )
        first = select(led_to_it.c.id, led_to_it.c.creator_id).where(led_to_it.c.place == 1)
        self.raise_all(self._session.execute(first).all(), AlertKind.CONSEQUENCE_HELD, at)

    def follow_assignees(self, user_ids: Collection[UUID], at: datetime) -> None:
        """Let an alert stand for each open task of these users exactly if its assignee is not active."""
        theirs = among(self._session, KnownUser.user_id, user_ids)
        of_inactive = (
            select(Task.id, Task.creator_id)
            .join(KnownUser, KnownUser.user_id == Task.assignee_id)
            .where(theirs, KnownUser.status != ACTIVE, OPEN)
        )
        self.raise_all(self._session.execute(of_inactive).all(), AlertKind.ASSIGNEE_DEACTIVATED, at)
        of_active = select(Task.id).join(KnownUser, KnownUser.user_id == Task.assignee_id)
        gone = Alert.task_id.in_(of_active.where(theirs, KnownUser.status == ACTIVE))
        self._session.execute(delete(Alert).where(_ASSIGNEE, gone).execution_options(synchronize_session=False))

    def page(self, reader_id: UUID, chosen: AlertFilter, paging: Paging) -> Page[Any]:
        """Return a piece of the list of alerts, newest first, with what one manager has read. Raises InvalidCursor."""
        shown = (
            select(
                Alert.id,
                Alert.kind,
                Alert.raised_at,
                AlertRead.read_at,
                Task.id.label("task_id"),
                Task.title,
                Task.deadline,
                Task.assignee_id,
                Task.creator_id,
                KnownUser.username.label("assignee_username"),
                KnownUser.name.label("assignee_name"),
                _CONSEQUENCE.label("consequence_id"),
            )
            .join(Task, Task.id == Alert.task_id)
            .join(KnownUser, KnownUser.user_id == Task.assignee_id, isouter=True)
            .join(AlertRead, (AlertRead.alert_id == Alert.id) & (AlertRead.reader_id == reader_id), isouter=True)
            .where(*chosen.conditions())
        )
        return fetch_page(self._session, shown, descending(Alert.id), paging, count_up_to=COUNTED)

    def read(self, reader_id: UUID, ids: Collection[int], at: datetime) -> int:
        """Note that a manager has read these alerts; return how many of them were new to them."""
        standing = list(self._session.scalars(select(Alert.id).where(among(self._session, Alert.id, ids))))
        reads = cast("Table", AlertRead.__table__)
        same = {"reader_id": reader_id, "read_at": at}
        return len(insert_new(self._session, reads, {"alert_id": standing}, reads.c.alert_id, same=same))

    def _want_digests(self, managers: set[UUID]) -> None:
        # Who is waiting already is left alone, because sweepers would wait for each other at these few rows.
        waiting = select(AlertDigest.manager_id).where(among(self._session, AlertDigest.manager_id, managers))
        others = sorted(managers - set(self._session.scalars(waiting.where(AlertDigest.due))))
        insert_many(self._session, _DIGESTS, {"manager_id": others}, same=NEW_DIGEST, amend=_due_again)

    def any_digest_due(self) -> bool:
        return self._session.scalar(select(AlertDigest.manager_id).where(AlertDigest.due).limit(1)) is not None

    def digests_due(self) -> Sequence[AlertDigest]:
        """Return the first managers with new alerts, locked."""
        due = select(AlertDigest).where(AlertDigest.due).order_by(AlertDigest.manager_id).limit(MANAGERS_AT_ONCE)
        return list(self._session.scalars(due.with_for_update()))

    def unread(self, managers: Collection[UUID]) -> Mapping[UUID, Unread]:
        """Return what those of these users who are managers have not read since they were last written to."""
        newest = func.max(Alert.id)
        counted = (
            select(Alert.manager_id, Alert.kind, func.count(), newest)
            .join(AlertDigest, AlertDigest.manager_id == Alert.manager_id)
            .join(KnownUser, KnownUser.user_id == Alert.manager_id)
            .join(AlertRead, (AlertRead.alert_id == Alert.id) & (AlertRead.reader_id == Alert.manager_id), isouter=True)
            .where(
                among(self._session, Alert.manager_id, managers),
                Alert.id > AlertDigest.told_up_to,
                AlertRead.alert_id.is_(None),
                KnownUser.status == ACTIVE,
                KnownUser.role.in_(MANAGING_ROLES),
            )
            .group_by(Alert.manager_id, Alert.kind)
        )
        found: dict[UUID, Unread] = defaultdict(Unread)
        for manager_id, kind, count, last in self._session.execute(counted):
            found[manager_id].by_kind[kind] = count
            found[manager_id].up_to = max(found[manager_id].up_to, last)
        return found


_LED_TO_IT = (MissLimit.user_id == Task.assignee_id) & (MissLimit.reached_at == Task.missed_at)
_CONSEQUENCE = case(
    (
        Alert.kind == AlertKind.CONSEQUENCE_HELD,
        select(MissLimit.id).where(_LED_TO_IT, MissLimit.state == LimitState.HELD).limit(1).scalar_subquery(),
    )
)
"""What somebody has to decide about."""
MANAGERS_AT_ONCE = 1_000
"""Managers who are written to in one transaction."""
NEW_DIGEST = {"told_up_to": 0, "due": True}
_TABLE = cast("Table", Alert.__table__)
_DIGESTS = cast("Table", AlertDigest.__table__)
_ASSIGNEE = Alert.kind == AlertKind.ASSIGNEE_DEACTIVATED


def _if_new(insert: Any) -> Any:
    return insert.on_conflict_do_nothing()


def _due_again(insert: Any) -> Any:
    return insert.on_conflict_do_update(index_elements=["manager_id"], set_={"due": True})
