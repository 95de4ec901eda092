"""An invitation to an account, bound to an e-mail address: who has the token from that mailbox may accept it once."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from service_chassis.ids import uuid7
from service_chassis.messaging.tables import Sequence
from user_service.model.errors import InvitationNotFound
from user_service.model.membership import AccountRole
from user_service.model.secret import Secret
from user_service.model.tables import Entity

LIFETIME = timedelta(days=7)
MOST_A_DAY = 100
"""Invitations of one account, and by one person, within a day: each is a mail that nobody asked for."""


class InvitationStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Invitation(Entity):
    __tablename__ = "invitations"
    __table_args__ = (
        Index("invitations_inviter", "invited_by", "created_at"),
        Index("invitations_age", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[int] = mapped_column(Sequence, ForeignKey("accounts.id"), index=True)
    email: Mapped[str] = mapped_column(Text, index=True)
    role: Mapped[int] = mapped_column()
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    invited_by: Mapped[UUID] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @classmethod
    def to(cls, email: str, account_id: int, role: AccountRole, by: UUID, *, at: datetime) -> tuple[Self, str]:
        """Return an invitation and its token, which exists nowhere else."""
        token = Secret.new()
        invitation = cls(
            id=uuid7(),
            account_id=account_id,
            email=email,
            role=role,
            token_digest=token.digest,
            invited_by=by,
            created_at=at,
            expires_at=at + LIFETIME,
        )
        return invitation, token.plain

    def status(self, *, at: datetime, stands: bool = True) -> InvitationStatus:
        """Return what became of it; it does not stand while its sender could not send it."""
        if self.accepted_at is not None:
            return InvitationStatus.ACCEPTED
        if self.revoked_at is not None or not stands:
            return InvitationStatus.REVOKED
        return InvitationStatus.EXPIRED if at >= self.expires_at else InvitationStatus.PENDING

    def accept(self, email: str, *, at: datetime) -> None:
        """Use the invitation up. Raises InvitationNotFound for one that is not open, or is somebody else's."""
        if self.status(at=at) is not InvitationStatus.PENDING or email != self.email:
            raise InvitationNotFound
        self.accepted_at = at

    def revoke(self, *, at: datetime) -> None:
        """Take the invitation back. Raises InvitationNotFound for one that is not open."""
        if self.status(at=at) is not InvitationStatus.PENDING:
            raise InvitationNotFound
        self.revoked_at = at
