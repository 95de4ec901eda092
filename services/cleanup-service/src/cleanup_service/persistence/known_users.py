"""The projection of users: written by events in any order, read by plans.

Every write says under which condition it applies, so that the same events in another order, or twice, end in the same
rows: a state applies if its version is newer, activity moves forward only, and a purged user stays purged until its
owner, restored to an earlier instant, says otherwise in a later epoch.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, case, func, select, update
from sqlalchemy.orm import Session

from cleanup_service.model.known_user import ACTIVE, GONE, PURGED, UNKNOWN, KnownUser, Watermark
from service_chassis.database.statements import among, insert_many, upsert


class KnownUserRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def apply_states(self, states: Sequence[dict[str, Any]]) -> None:
        """Take over states where they are newer; rows hold user_id, role, status, last_activity_at and version."""
        newest: dict[UUID, dict[str, Any]] = {}
        for state in states:
            known = newest.get(state["user_id"])
            if known is None or state["version"] > known["version"]:
                newest[state["user_id"]] = state | {"last_activity_at": _latest(state, known)}
            else:
                known["last_activity_at"] = _latest(state, known)
        self._apply([newest[user_id] for user_id in sorted(newest)])

    def apply_activity(self, seen: dict[UUID, datetime]) -> None:
        """Move the latest activity of users forward, also of users not heard of before."""
        rows = [
            {"user_id": id_, "role": "user", "status": UNKNOWN, "last_activity_at": seen[id_], "version": 0}
            for id_ in sorted(seen)
        ]
        self._apply(rows)

    def purge(self, user_id: UUID, version: int, at: datetime) -> None:
        """Leave nothing of a user but the fact that it is gone."""
        row = {"user_id": user_id, "role": "user", "status": PURGED, "last_activity_at": at, "version": version}
        insert = upsert(self._session, cast("Table", KnownUser.__table__))
        tombstone = {key: value for key, value in row.items() if key != "user_id"}
        newer = insert.excluded.version > KnownUser.version
        self._session.execute(
            insert.values(row).on_conflict_do_update(index_elements=["user_id"], set_=tombstone, where=newer)
        )

    def lose(self, ids: Collection[UUID], version: int) -> None:
        """Leave tombstones of users whom their owner does not know."""
        newer = case((KnownUser.version < version, version), else_=KnownUser.version)
        lost = update(KnownUser).where(among(self._session, KnownUser.user_id, ids))
        self._session.execute(lost.values(status=GONE, version=newer).execution_options(synchronize_session=False))

    def active_count(self) -> int:
        return self._session.scalar(select(func.count()).where(KnownUser.status == ACTIVE)) or 0

    def advance_watermark(self, source: str, as_of: datetime) -> None:
        insert = upsert(self._session, cast("Table", Watermark.__table__))
        excluded = insert.excluded
        self._session.execute(
            insert.values(source=source, as_of=as_of).on_conflict_do_update(
                index_elements=["source"], set_={"as_of": excluded.as_of}, where=excluded.as_of > Watermark.as_of
            )
        )

    def watermark(self) -> datetime | None:
        """Return the instant up to which everything user-service committed has been sent to us."""
        return self._session.scalar(select(func.min(Watermark.as_of)))

    def _apply(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        insert_many(self._session, cast("Table", KnownUser.__table__), columns, amend=_keep_newer)


def _keep_newer(insert: Any) -> Any:
    """Let a row that is there already take over what is newer, and who is no more no activity."""
    excluded = insert.excluded
    newer = excluded.version > KnownUser.version
    no_more = (KnownUser.status == PURGED) | (KnownUser.status == GONE)
    later = ~no_more & (excluded.last_activity_at > KnownUser.last_activity_at)
    back = no_more & newer
    return insert.on_conflict_do_update(
        index_elements=["user_id"],
        set_={
            "role": case((newer, excluded.role), else_=KnownUser.role),
            "status": case((newer, excluded.status), else_=KnownUser.status),
            "version": case((newer, excluded.version), else_=KnownUser.version),
            "last_activity_at": case((later | back, excluded.last_activity_at), else_=KnownUser.last_activity_at),
        },
        where=newer | later,
    )


def _latest(state: dict[str, Any], known: dict[str, Any] | None) -> datetime:
    own: datetime = state["last_activity_at"]
    return own if known is None else max(own, known["last_activity_at"])
