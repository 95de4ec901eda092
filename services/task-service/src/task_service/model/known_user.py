"""What this service knows of a user: a projection of user-service's events, which may say yes and never no."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from task_service.model.tables import Entity

ACTIVE = "active"
PURGED = "purged"
MANAGING_ROLES = ("manager", "admin")
LIABLE_ROLE = "user"
"""The only role for which missed tasks have a consequence."""


class KnownUser(Entity):
    __tablename__ = "users"

    user_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    role: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    reactivated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column()
    name: Mapped[str | None] = mapped_column(Text)
    username: Mapped[str | None] = mapped_column(Text)
    named_version: Mapped[int] = mapped_column(server_default="0")
    """The version of the user that the names are of; most states come without."""
