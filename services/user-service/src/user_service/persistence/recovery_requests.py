"""Requests about an address that wait for the worker."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row, Table, delete, select, tuple_
from sqlalchemy.orm import Session

from service_chassis.database.statements import insert_new
from user_service.model.recovery import RecoveryKind, RecoveryRequest


class RecoveryRequestRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(
        self, kind: RecoveryKind, email: str, details: Mapping[str, Any], correlation_id: str | None, *, at: datetime
    ) -> None:
        """Keep a request, unless one of its kind already waits for the address."""
        table = cast("Table", RecoveryRequest.__table__)
        columns: dict[str, list[Any]] = {
            "kind": [kind.value],
            "email": [email],
            "details": [dict(details)],
            "requested_at": [at],
            "correlation_id": [correlation_id],
        }
        insert_new(self._session, table, columns, table.c.email)

    def waiting(self) -> bool:
        return self._session.scalar(select(RecoveryRequest.email).limit(1)) is not None

    def take(self, most: int) -> list[Row[Any]]:
        """Return the oldest requests and forget them."""
        key = (RecoveryRequest.kind, RecoveryRequest.email)
        oldest = select(*key).order_by(RecoveryRequest.requested_at).limit(most)
        taken = delete(RecoveryRequest).where(tuple_(*key).in_(oldest)).returning(*RecoveryRequest.__table__.columns)
        return list(self._session.execute(taken.execution_options(synchronize_session=False)))

    def forget(self, email: str) -> None:
        gone = delete(RecoveryRequest).where(RecoveryRequest.email == email)
        self._session.execute(gone.execution_options(synchronize_session=False))
