"""The unit of work of user-service: the chassis's, with this service's repositories."""

from collections.abc import Collection
from functools import cached_property
from uuid import UUID

from service_chassis import correlation
from service_chassis.ids import uuid7
from service_chassis.unit_of_work import UnitOfWork as ChassisUnitOfWork
from user_service.model.history import HistoryEntry
from user_service.model.user import User
from user_service.persistence.sessions import SessionRepository
from user_service.persistence.signing_keys import SigningKeyRepository
from user_service.persistence.users import UserRepository


class UnitOfWork(ChassisUnitOfWork):
    @cached_property
    def users(self) -> UserRepository:
        return UserRepository(self.session)

    @cached_property
    def sessions(self) -> SessionRepository:
        return SessionRepository(self.session)

    @cached_property
    def signing_keys(self) -> SigningKeyRepository:
        return SigningKeyRepository(self.session)

    def record(self, actor: str, action: str, user: User, reason: str | None = None) -> None:
        """Add to the history of a user who did what, and why."""
        self.session.add(
            HistoryEntry(
                id=uuid7(),
                user_id=user.id,
                action=action,
                reason=reason,
                actor=actor,
                at=self.now,
                correlation_id=_correlation_id(),
            )
        )

    def record_all(self, actor: str, action: str, user_ids: Collection[UUID], reason: str) -> None:
        """Add the same to the history of each of many users."""
        same = {"action": action, "reason": reason, "actor": actor, "at": self.now, "correlation_id": _correlation_id()}
        self.users.record_all(user_ids, same)


def _correlation_id() -> str | None:
    ids = correlation.current()
    return ids.correlation_id if ids else None
