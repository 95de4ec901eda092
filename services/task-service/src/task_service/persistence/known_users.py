"""The projection of users: written by events in any order, and by what user-service answers when it is asked.

A state applies if its version is newer, and a purged user stays purged.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Select, Table, case, select
from sqlalchemy.orm import Session

from service_chassis.database.statements import among, insert_many, upsert
from task_service.model.known_user import ACTIVE, PURGED, KnownUser

STATE = ("role", "status", "reactivated_at", "version")
NAMES = ("name", "username", "named_version")


class Names(NamedTuple):
    """How a user is called; None is not known, or no such name."""

    username: str | None = None
    name: str | None = None


class KnownUserRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def apply_states(self, states: Sequence[dict[str, Any]]) -> Mapping[UUID, datetime]:
        """Take over states, and the names in them, where they are newer.

        Rows hold the columns of a known user. A state without names has a `named_version` of 0.
        Return who was reactivated when and was not known to be.
        """
        newest = _newest(states, "version", STATE)
        named = _newest(states, "named_version", NAMES)
        rows = [newest[user_id] | named[user_id] for user_id in sorted(newest)]
        back = {row["user_id"]: row["reactivated_at"] for row in rows if row["reactivated_at"] is not None}
        before = self._reactivated(back) if back else {}
        if rows:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            insert_many(self._session, cast("Table", KnownUser.__table__), columns, amend=_keep_newer)
        return {user_id: instant for user_id, instant in back.items() if before.get(user_id) != instant}

    def purge(self, user_id: UUID, version: int) -> None:
        """Leave nothing of a user but the fact that it is gone."""
        gone = {"role": "user", "status": PURGED, "reactivated_at": None, "name": None, "username": None}
        row = {"user_id": user_id, **gone, "version": version, "named_version": version}
        insert = upsert(self._session, cast("Table", KnownUser.__table__))
        update = {key: value for key, value in row.items() if key != "user_id"}
        self._session.execute(insert.values(row).on_conflict_do_update(index_elements=["user_id"], set_=update))

    def names(self, ids: Collection[UUID]) -> Mapping[UUID, Names]:
        """Return how these users are called, of those whose names are known."""
        query = select(KnownUser.user_id, KnownUser.username, KnownUser.name)
        rows = self._session.execute(query.where(among(self._session, KnownUser.user_id, ids)))
        return {row.user_id: Names(row.username, row.name) for row in rows}

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


def _newest(states: Sequence[dict[str, Any]], version: str, columns: Sequence[str]) -> dict[UUID, dict[str, Any]]:
    """Return these columns of each user as the newest of the states has them."""
    newest: dict[UUID, dict[str, Any]] = {}
    for state in states:
        known = newest.get(state["user_id"])
        if known is None or state[version] > known[version]:
            newest[state["user_id"]] = {name: state[name] for name in ("user_id", *columns)}
    return newest


def _keep_newer(insert: Any) -> Any:
    new, known = insert.excluded, KnownUser
    is_newer = new.version > known.version
    is_named_newer = new.named_version > known.named_version
    state = {name: case((is_newer, new[name]), else_=getattr(known, name)) for name in STATE}
    names = {name: case((is_named_newer, new[name]), else_=getattr(known, name)) for name in NAMES}
    return insert.on_conflict_do_update(
        index_elements=["user_id"],
        set_=state | names,
        where=(known.status != PURGED) & (is_newer | is_named_newer),
    )
