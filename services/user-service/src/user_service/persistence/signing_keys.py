"""The keys that sign access tokens."""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from service_chassis.database.statements import changed
from user_service.model.signing import SigningKey


class SigningKeyRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, key: SigningKey) -> SigningKey:
        self._session.add(key)
        return key

    def forget(self, before: datetime) -> int:
        """Delete the keys older than the newest that was made before an instant."""
        newest = select(func.max(SigningKey.created_at)).where(SigningKey.created_at <= before).scalar_subquery()
        superseded = delete(SigningKey).where(SigningKey.created_at < newest)
        return changed(self._session, superseded.execution_options(synchronize_session=False))

    def all(self) -> list[SigningKey]:
        """Return all keys, newest first."""
        return list(self._session.scalars(select(SigningKey).order_by(SigningKey.created_at.desc())))
