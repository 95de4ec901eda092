"""Tokens that go out by mail: each for one purpose and one address, used once, replaced by the next of both."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from user_service.model.secret import Secret
from user_service.model.tables import Entity


class Purpose(StrEnum):
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105  # The name of a purpose.
    CHANGE_EMAIL = "change_email"
    UNDO_EMAIL_CHANGE = "undo_email_change"


@dataclass(frozen=True, slots=True)
class OneTimeTokenLifetimes:
    verify_email: timedelta
    reset_password: timedelta
    change_email: timedelta


class OneTimeToken(Entity):
    """`email` is the address the token speaks for, which need not be the user's present one."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (UniqueConstraint("user_id", "purpose", "email", name="one_time_tokens_newest"),)

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    purpose: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    @classmethod
    def issue(
        cls, secret: Secret, user_id: UUID, purpose: Purpose, email: str, *, at: datetime, lifetime: timedelta
    ) -> Self:
        return cls(
            token_hash=secret.digest,
            user_id=user_id,
            purpose=purpose,
            email=email,
            created_at=at,
            expires_at=at + lifetime,
        )
