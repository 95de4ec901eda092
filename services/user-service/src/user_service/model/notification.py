"""A notification: what somebody is to be told by which channel, and how far that has come."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Index, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import Json, UtcDateTime
from service_chassis.ids import uuid7
from user_service.model.tables import Entity

DEFAULT_PRIORITY = 5
LARGEST_PRIORITY = 10

SYSTEM_TEMPLATES = frozenset(
    {
        "account_invitation",
        "already_registered",
        "email_change",
        "email_change_notice",
        "email_changed",
        "password_changed",
        "password_reset",
        "task_alert_digest",
        "verify_email",
    }
)
"""What only this service itself sends, because whoever gets it believes that something happened."""


class Channel(StrEnum):
    EMAIL = "email"
    PUSH = "push"


class NotificationStatus(StrEnum):
    """How far a notification is.

    `pending` means that whoever delivers it will try again, `processing` that it was handed on for delivery, and
    `skipped` that the user does not want it or cannot be reached.
    """

    PENDING = "pending"
    PROCESSING = "processing"
    SENT = "sent"
    FAILED = "failed"
    SKIPPED = "skipped"


class Report(StrEnum):
    """What those who deliver say of a notification."""

    DELIVERED = "delivered"
    PENDING = "pending"
    FAILED = "failed"


class Skip(StrEnum):
    """Why a notification is not sent."""

    USER_INACTIVE = "user_inactive"
    EMAIL_OFF = "email_off"
    PUSH_OFF = "push_off"
    NO_PUSH_TOKEN = "no_push_token"  # noqa: S105  # The name of a reason.


class Notification(Entity):
    """The recipient's address is not kept here: it is the user's, and goes out with the event alone."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("notifications_user", "user_id", "id"),
        Index("notifications_age", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(Uuid)
    channel: Mapped[str] = mapped_column(Text)
    template_code: Mapped[str] = mapped_column(Text)
    variables: Mapped[dict[str, Any]] = mapped_column(Json)
    details: Mapped[dict[str, Any]] = mapped_column(Json)
    priority: Mapped[int] = mapped_column()
    request_id: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    correlation_id: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @classmethod
    def new(
        cls,
        user_id: UUID | None,
        channel: Channel,
        template_code: str,
        variables: dict[str, Any],
        *,
        at: datetime,
        correlation_id: str | None,
        priority: int = DEFAULT_PRIORITY,
        request_id: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> Self:
        return cls(
            id=uuid7(),
            user_id=user_id,
            channel=channel,
            template_code=template_code,
            variables=variables,
            details=details or {},
            priority=priority,
            request_id=request_id,
            status=NotificationStatus.PROCESSING,
            correlation_id=correlation_id,
            created_at=at,
            updated_at=at,
        )

    def skip(self, reason: Skip) -> None:
        self.status = NotificationStatus.SKIPPED
        self.reason = reason

    def report(self, outcome: Report, error: str | None, *, at: datetime) -> None:
        """Note what became of it; what has an end keeps it, except that a failed one may still arrive."""
        final = {NotificationStatus.SENT, NotificationStatus.SKIPPED}
        if self.status in final or (self.status == NotificationStatus.FAILED and outcome is not Report.DELIVERED):
            return
        self.status = _AFTER[outcome]
        self.reason = error
        self.updated_at = at


_AFTER = {
    Report.DELIVERED: NotificationStatus.SENT,
    Report.PENDING: NotificationStatus.PENDING,
    Report.FAILED: NotificationStatus.FAILED,
}
