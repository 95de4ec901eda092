"""Consequences of missed tasks: found by sweeps, released or held, and decided by admins."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Select, Table, case, delete, literal_column, select, update
from sqlalchemy.orm import Session

from service_chassis.database.paging import Page, Paging, descending, fetch_page
from service_chassis.database.statements import among, insert_many, insert_new
from service_chassis.ids import uuid7
from task_service.model.errors import ConsequenceNotFound
from task_service.model.miss_limit import LimitState, Miss, MissLimit, Uncounted

# As the partial index has it, of which a planner that sees a parameter would make no use.
PENDING = (MissLimit.state == literal_column("'pending'")) & MissLimit.state.in_(
    (literal_column("'pending'"), literal_column("'held'"))
)


USERS_AT_ONCE = 1_000
"""Users whose misses are counted in one transaction."""


class MissLimitRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def note(self, since: Mapping[UUID, datetime], correlation_id: str) -> None:
        """Note from when on the misses of these users are to be counted."""
        columns: dict[str, list[Any]] = {"user_id": sorted(since), "since": [since[user] for user in sorted(since)]}
        insert_many(self._session, _UNCOUNTED, columns, same={"correlation_id": correlation_id}, amend=_earliest)

    def any_uncounted(self) -> bool:
        return self._session.scalar(select(Uncounted.user_id).limit(1)) is not None

    def take(self, user_id: UUID | None = None) -> list[Uncounted]:
        """Return, and forget, whose misses are to be counted now: those of one user, or the first of all."""
        first = select(Uncounted.user_id).order_by(Uncounted.user_id).limit(USERS_AT_ONCE).with_for_update()
        whose = Uncounted.user_id.in_(first) if user_id is None else Uncounted.user_id == user_id
        taken = delete(Uncounted).where(whose).returning(Uncounted)
        return list(self._session.scalars(taken.execution_options(synchronize_session=False)))

    def add_all(self, misses: Sequence[Miss], missed: int, at: datetime, found_by: Mapping[UUID, str]) -> None:
        """Note who has reached the limit, found by the sweep of which correlation id; what is noted already stays."""
        columns: dict[str, list[Any]] = {
            "id": [uuid7() for _ in misses],
            "user_id": [miss.user_id for miss in misses],
            "manager_id": [miss.manager_id for miss in misses],
            "counted_from": [miss.counted_from for miss in misses],
            "reached_at": [miss.missed_at for miss in misses],
            "correlation_id": [found_by[miss.user_id] for miss in misses],
        }
        same = {"missed": missed, "state": LimitState.PENDING, "found_at": at}
        table = cast("Table", MissLimit.__table__)
        insert_new(self._session, table, columns, table.c.id, same=same)

    def reached(self, users: Collection[UUID], since: datetime) -> Mapping[UUID, list[datetime]]:
        """Return when these users have reached the limit after an instant."""
        chosen = among(self._session, MissLimit.user_id, users) & (MissLimit.reached_at > since)
        found: dict[UUID, list[datetime]] = defaultdict(list)
        for user_id, instant in self._session.execute(select(MissLimit.user_id, MissLimit.reached_at).where(chosen)):
            found[user_id].append(instant)
        return found

    def any_pending(self) -> bool:
        return self._session.scalar(select(MissLimit.id).where(PENDING).limit(1)) is not None

    def pending(self) -> Sequence[MissLimit]:
        """Return what no sweep has looked at yet, locked."""
        query = select(MissLimit).where(PENDING).order_by(MissLimit.reached_at, MissLimit.id).with_for_update()
        return list(self._session.scalars(query))

    def set_state(self, ids: Collection[UUID], state: LimitState) -> None:
        statement = update(MissLimit).where(among(self._session, MissLimit.id, ids)).values(state=state)
        self._session.execute(statement.execution_options(synchronize_session=False))

    def locked(self, limit_id: UUID) -> MissLimit:
        """Return a consequence that nobody else decides until this transaction ends. Raises ConsequenceNotFound."""
        return self._found(select(MissLimit).where(MissLimit.id == limit_id).with_for_update())

    def page(self, state: str | None, paging: Paging) -> Page[MissLimit]:
        """Return a piece of the list of consequences, newest first. Raises InvalidCursor."""
        query = select(MissLimit)
        if state is not None:
            query = query.where(MissLimit.state == state)
        return fetch_page(self._session, query, descending(MissLimit.id), paging)

    def _found(self, query: Select[MissLimit]) -> MissLimit:
        limit = self._session.scalar(query)
        if limit is None:
            raise ConsequenceNotFound
        return limit


_UNCOUNTED = cast("Table", Uncounted.__table__)


def _earliest(insert: Any) -> Any:
    """Let what is noted already count from the earlier of two instants."""
    new, noted = insert.excluded, _UNCOUNTED.c.since
    earlier = case((new.since < noted, new.since), else_=noted)
    return insert.on_conflict_do_update(
        index_elements=["user_id"], set_={"since": earlier, "correlation_id": new.correlation_id}
    )
