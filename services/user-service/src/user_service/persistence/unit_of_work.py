"""The unit of work of user-service: the chassis's, with this service's repositories."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from sqlalchemy.orm import Session

from service_chassis import correlation
from service_chassis.ids import uuid7
from service_chassis.sealing import Seal
from service_chassis.unit_of_work import UnitOfWork as ChassisUnitOfWork
from user_service.model.history import AccountHistoryEntry, HistoryEntry
from user_service.model.user import User
from user_service.persistence.accounts import AccountRepository
from user_service.persistence.invitations import InvitationRepository
from user_service.persistence.notifications import NotificationRepository
from user_service.persistence.one_time_tokens import OneTimeTokenRepository
from user_service.persistence.password_forms import PasswordFormRepository
from user_service.persistence.preferences import PreferenceRepository
from user_service.persistence.recovery_requests import RecoveryRequestRepository
from user_service.persistence.service_clients import ServiceClientRepository
from user_service.persistence.sessions import SessionRepository
from user_service.persistence.signing_keys import SigningKeyRepository
from user_service.persistence.throttles import ThrottleRepository
from user_service.persistence.users import UserRepository


@dataclass(frozen=True, slots=True)
class Seals:
    """What makes values unreadable to whoever sees rows and messages only."""

    accounts: Seal
    notifications: Seal
    """Shared with delivery-service, which opens what is sealed with it."""


class UnitOfWork(ChassisUnitOfWork):
    def __init__(self, session: Session, now: datetime, seals: Seals) -> None:
        super().__init__(session, now)
        self.seals = seals

    @property
    def correlation_id(self) -> str | None:
        """What the work in hand is part of."""
        return _correlation_id()

    @cached_property
    def users(self) -> UserRepository:
        return UserRepository(self.session)

    @cached_property
    def sessions(self) -> SessionRepository:
        return SessionRepository(self.session)

    @cached_property
    def signing_keys(self) -> SigningKeyRepository:
        return SigningKeyRepository(self.session)

    @cached_property
    def throttles(self) -> ThrottleRepository:
        return ThrottleRepository(self.session)

    @cached_property
    def one_time_tokens(self) -> OneTimeTokenRepository:
        return OneTimeTokenRepository(self.session)

    @cached_property
    def recovery_requests(self) -> RecoveryRequestRepository:
        return RecoveryRequestRepository(self.session)

    @cached_property
    def service_clients(self) -> ServiceClientRepository:
        return ServiceClientRepository(self.session)

    @cached_property
    def password_forms(self) -> PasswordFormRepository:
        return PasswordFormRepository(self.session)

    @cached_property
    def preferences(self) -> PreferenceRepository:
        return PreferenceRepository(self.session)

    @cached_property
    def accounts(self) -> AccountRepository:
        return AccountRepository(self.session)

    @cached_property
    def invitations(self) -> InvitationRepository:
        return InvitationRepository(self.session)

    @cached_property
    def notifications(self) -> NotificationRepository:
        return NotificationRepository(self.session)

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

    def record_of_account(self, actor: str, action: str, account_id: int, subject: str | None = None) -> None:
        """Add to the history of an account who did what, and to whom."""
        self.session.add(
            AccountHistoryEntry(
                account_id=account_id,
                action=action,
                subject=subject,
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
