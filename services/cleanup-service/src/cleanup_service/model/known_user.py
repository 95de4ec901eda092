"""What this service knows of a user: a projection of user-service's events, good for planning and never the truth."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from cleanup_service.model.tables import Entity
from service_chassis.database import UtcDateTime, Version

UNKNOWN = "unknown"
"""Status of a user of whom activity was heard before anything else; such a user is in no plan."""
ACTIVE = "active"
PURGED = "purged"
GONE = "gone"
"""Status of a user whom user-service does not know, since it was restored to an earlier instant."""


class KnownUser(Entity):
    __tablename__ = "users"
    __table_args__ = (
        Index(
            "users_active",
            "last_activity_at",
            postgresql_where=text("status = 'active'"),
            sqlite_where=text("status = 'active'"),
        ),
    )

    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    role: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    last_activity_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Version)


USERS = "users"
"""The name of users' snapshots at their owner."""
HELD = KnownUser.status != GONE


class Watermark(Entity):
    """How far user-service has told us: everything it committed before `as_of` has been sent."""

    __tablename__ = "watermarks"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    as_of: Mapped[datetime] = mapped_column(UtcDateTime)
