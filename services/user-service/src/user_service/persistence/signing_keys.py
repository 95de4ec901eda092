"""The keys that sign access tokens."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from user_service.model.signing import SigningKey


class SigningKeyRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, key: SigningKey) -> SigningKey:
        self._session.add(key)
        return key

    def all(self) -> list[SigningKey]:
        """Return all keys, newest first."""
        return list(self._session.scalars(select(SigningKey).order_by(SigningKey.created_at.desc())))
