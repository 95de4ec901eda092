"""Requests about an address, kept as they came: whether anybody has that address is found out later, elsewhere."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import Json, UtcDateTime
from user_service.model.tables import Entity


class RecoveryKind(StrEnum):
    PASSWORD_RESET = "password_reset"  # noqa: S105  # The name of a kind.
    VERIFICATION = "verification"
    REGISTRATION = "registration"


class RecoveryRequest(Entity):
    """One of each kind waits for each address; asking again while it does changes nothing."""

    __tablename__ = "recovery_requests"

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    email: Mapped[str] = mapped_column(Text, primary_key=True)
    details: Mapped[dict[str, Any]] = mapped_column(Json)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    correlation_id: Mapped[str | None] = mapped_column(Text)
