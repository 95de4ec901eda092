"""The projection of users: written by events in any order, and by what user-service answers when it is asked.

A state applies if its version is newer, so a purged user stays purged, until its owner, restored to an earlier instant,
says otherwise in a later epoch.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Select, Table, case, select, update
from sqlalchemy.orm import Session

from service_chassis.database.statements import among, insert_many, upsert
from task_service.model.known_user import ACTIVE, GONE, PURGED, KnownUser


class KnownUserRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def apply_states(self, states: Sequence[dict[str, Any]]) -> Mapping[UUID, datetime]:
        """Take over states where they are newer; rows hold user_id, role, status, reactivated_at and version.

        Return who was reactivated when and was not known to be.
        """
        newest: dict[UUID, dict[str, Any]] = {}
        for state in states:
            known = newest.get(state["user_id"])
            if known is None or state["version"] > known["version"]:
                newest[state["user_id"]] = state
        rows = [newest[user_id] for user_id in sorted(newest)]
        back = {row["user_id"]: row["reactivated_at"] for row in rows if row["reactivated_at"] is not None}
        before = self._reactivated(back) if back else {}
        if rows:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            insert_many(self._session, cast("Table", KnownUser.__table__), columns, amend=_keep_newer)
        return {user_id: instant for user_id, instant in back.items() if before.get(user_id) != instant}

    def purge(self, user_id: UUID, version: int) -> None:
        """Leave nothing of a user but the fact that it is gone."""
        row = {"user_id": user_id, "role": "user", "status": PURGED, "reactivated_at": None, "version": version}
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

    def active(self, ids: Collection[UUID]) -> set[UUID]:
        """Return which of these users are known to be active."""
        return set(self._session.scalars(self._active(ids)))

    def kept_active(self, ids: Collection[UUID]) -> set[UUID]:
        """Return the same, and let nobody switch them off until this transaction ends."""
        return set(self._session.scalars(self._active(ids).with_for_update(read=True)))

    def _reactivated(self, ids: Collection[UUID]) -> Mapping[UUID, datetime | None]:
        query = select(KnownUser.user_id, KnownUser.reactivated_at).where(among(self._session, KnownUser.user_id, ids))
        return {row.user_id: row.reactivated_at for row in self._session.execute(query)}

    def _active(self, ids: Collection[UUID]) -> Select[UUID]:
        chosen = among(self._session, KnownUser.user_id, ids) & (KnownUser.status == ACTIVE)
        return select(KnownUser.user_id).where(chosen).order_by(KnownUser.user_id)


def _keep_newer(insert: Any) -> Any:
    excluded = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["user_id"],
        set_={name: excluded[name] for name in ("role", "status", "reactivated_at", "version")},
        where=excluded.version > KnownUser.version,
    )
