"""Who did what to which task, when and why."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import Json, UtcDateTime
from service_chassis.messaging.tables import Sequence
from task_service.model.tables import Entity


class HistoryEntry(Entity):
    """`actor` is null where the clock did it: a task is missed by its deadline."""

    __tablename__ = "task_history"

    id: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    task_id: Mapped[UUID] = mapped_column(Uuid, index=True)
    action: Mapped[str] = mapped_column(Text)
    actor: Mapped[UUID | None] = mapped_column(Uuid)
    note: Mapped[str | None] = mapped_column(Text)
    changes: Mapped[dict[str, Any] | None] = mapped_column(Json)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    correlation_id: Mapped[str | None] = mapped_column(Text)
