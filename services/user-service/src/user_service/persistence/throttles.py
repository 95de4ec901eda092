"""Failures, counted under keys."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import Row, Table, bindparam, delete, select
from sqlalchemy.orm import Session

from service_chassis.database.statements import among, delete_some, insert_new
from user_service.model.throttle import LONG_AGO, Throttle

# Made once: each sign-in asks it twice.
BLOCKED = select(Throttle.key, Throttle.blocked_until).where(Throttle.key.in_(bindparam("keys", expanding=True)))


class ThrottleRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, keys: Collection[str]) -> Sequence[Row[str, datetime]]:
        """Return those of these keys under which there are failures, and until when each is blocked."""
        return self._session.execute(BLOCKED, {"keys": list(keys)}).all()

    def locked(self, keys: Collection[str]) -> list[Throttle]:
        """Return the throttles of these keys, made where there are none, locked in one order everywhere."""
        ordered = sorted(keys)
        table = cast("Table", Throttle.__table__)
        same = {"failures": 0, "blocked_until": LONG_AGO, "forget_at": LONG_AGO}
        insert_new(self._session, table, {"key": ordered}, table.c.key, same=same)
        locking = select(Throttle).where(among(self._session, Throttle.key, ordered)).order_by(Throttle.key)
        return list(self._session.scalars(locking.with_for_update().execution_options(populate_existing=True)))

    def clear(self, keys: Collection[str]) -> None:
        """Forget the failures of these keys."""
        self._session.execute(delete(Throttle).where(among(self._session, Throttle.key, keys)))

    def forget(self, now: datetime) -> bool:
        return delete_some(self._session, Throttle.key, Throttle.forget_at <= now)
