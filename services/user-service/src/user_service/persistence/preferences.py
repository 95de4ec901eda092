"""Preferences; there is a row once a user has said something."""

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from user_service.model.preferences import UserPreferences, Wishes


class PreferenceRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, user_id: UUID) -> Wishes:
        """Return what a user wants."""
        found = self._session.get(UserPreferences, user_id)
        return found.wishes if found else Wishes()

    def to_change(self, user_id: UUID) -> UserPreferences:
        """Return the preferences of a user who is locked, as they stand now, with a row from now on."""
        current = select(UserPreferences).where(UserPreferences.user_id == user_id)
        found = self._session.scalar(current.execution_options(populate_existing=True))
        if found is None:
            found = UserPreferences.of(user_id)
            self._session.add(found)
        return found

    def forget(self, user_id: UUID) -> None:
        gone = delete(UserPreferences).where(UserPreferences.user_id == user_id)
        self._session.execute(gone.execution_options(synchronize_session=False))
