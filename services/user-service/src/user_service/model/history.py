"""Who did what to which user, when and why. The history outlives what it tells of, so nothing ties it to the user."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from service_chassis.messaging.tables import Sequence
from user_service.model.tables import Entity


class HistoryEntry(Entity):
    __tablename__ = "user_history"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    action: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    correlation_id: Mapped[str | None] = mapped_column(Text)


class AccountHistoryEntry(Entity):
    """The same of an account; `subject` is whom or what the action was about, where that is not the account."""

    __tablename__ = "account_history"

    number: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    account_id: Mapped[int] = mapped_column(Sequence, index=True)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    correlation_id: Mapped[str | None] = mapped_column(Text)
