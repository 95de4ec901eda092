"""Tasks with their history, alerts and consequences, and the projection of users."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import Json, UtcDateTime

revision = "task_0001"
down_revision = None

OPEN = "status IN ('pending', 'in_progress')"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reactivated_at", UtcDateTime),
        sa.Column("version", sa.Integer, nullable=False),
    )
    _tasks()
    op.create_table(
        "task_history",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("task_id", sa.Uuid, nullable=False, index=True),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("actor", sa.Uuid),
        sa.Column("note", sa.Text),
        sa.Column("changes", Json),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("correlation_id", sa.Text),
    )
    _alerts()
    _consequences()


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("deadline", UtcDateTime, nullable=False),
        sa.Column("assignee_id", sa.Uuid, nullable=False),
        sa.Column("creator_id", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("due_soon_at", UtcDateTime),
        sa.Column("completed_at", UtcDateTime),
        sa.Column("missed_at", UtcDateTime),
        sa.Column("excused_at", UtcDateTime),
    )
    _index("tasks_due", ["deadline", "id"], OPEN)
    _index("tasks_undone", ["deadline", "id"], "status IN ('pending', 'in_progress', 'missed')")
    _index("tasks_to_announce", ["deadline", "id"], f"{OPEN} AND due_soon_at IS NULL")
    _index("tasks_missed", ["assignee_id", "missed_at"], "status = 'missed' AND excused_at IS NULL")
    op.create_index("tasks_assignee", "tasks", ["assignee_id", "id"])
    op.create_index("tasks_creator", "tasks", ["creator_id", "id"])
    op.create_index("tasks_deadline", "tasks", ["deadline", "id"])


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("task_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("manager_id", sa.Uuid, nullable=False),
        sa.Column("raised_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("task_id", "kind"),
    )
    op.create_index("alerts_of_manager", "alerts", ["manager_id", "id"])
    op.create_table(
        "alert_reads",
        sa.Column("alert_id", sa.BigInteger, sa.ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("reader_id", sa.Uuid, primary_key=True),
        sa.Column("read_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "alert_digests",
        sa.Column("manager_id", sa.Uuid, primary_key=True),
        sa.Column("told_up_to", sa.BigInteger, nullable=False),
        sa.Column("due", sa.Boolean, nullable=False),
    )


def _consequences() -> None:
    op.create_table(
        "miss_limits",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("manager_id", sa.Uuid, nullable=False),
        sa.Column("counted_from", UtcDateTime, nullable=False),
        sa.Column("reached_at", UtcDateTime, nullable=False),
        sa.Column("missed", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("found_at", UtcDateTime, nullable=False),
        sa.Column("decided_at", UtcDateTime),
        sa.Column("decided_by", sa.Uuid),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.UniqueConstraint("user_id", "reached_at"),
    )
    _index("miss_limits_undecided", ["state"], "state IN ('pending', 'held')", table="miss_limits")
    op.create_table(
        "uncounted_misses",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
    )


def _index(name: str, columns: list[str], where: str, *, table: str = "tasks") -> None:
    op.create_index(name, table, columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where))
