"""What managers should look at: one alert for each task and kind, for as long as it holds."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from service_chassis.messaging.tables import Sequence
from task_service.model.tables import Entity


class AlertKind(StrEnum):
    MISSED = "missed"
    DUE_SOON = "due_soon"
    ASSIGNEE_DEACTIVATED = "assignee_deactivated"
    CONSEQUENCE_HELD = "consequence_held"
    """By missing this task its assignee reached the limit, and somebody has to decide what follows."""


class Alert(Entity):
    """An alert goes when its reason does: a task that is completed is not due soon any more."""

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("task_id", "kind"), Index("alerts_of_manager", "manager_id", "id"))

    id: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    task_id: Mapped[UUID] = mapped_column(Uuid)
    kind: Mapped[str] = mapped_column(Text)
    manager_id: Mapped[UUID] = mapped_column(Uuid)
    """Who gave out the task, and is written to when there are many."""
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AlertRead(Entity):
    """Each manager reads alerts for themselves."""

    __tablename__ = "alert_reads"

    alert_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    reader_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    read_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AlertDigest(Entity):
    """Up to which alert a manager has been written to, and whether there have been others since."""

    __tablename__ = "alert_digests"

    manager_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    told_up_to: Mapped[int] = mapped_column(BigInteger)
    """The number of an alert; 0 before the first letter."""
    due: Mapped[bool] = mapped_column()
