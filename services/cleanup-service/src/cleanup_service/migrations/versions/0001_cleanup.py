"""The projection of users, and cleanup runs with their members."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import Json, UtcDateTime

revision = "cleanup_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("last_activity_at", UtcDateTime, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    active = sa.text("status = 'active'")
    op.create_index("users_active", "users", ["last_activity_at"], postgresql_where=active, sqlite_where=active)
    op.create_table(
        "watermarks",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("as_of", UtcDateTime, nullable=False),
    )
    _runs()
    op.create_table(
        "run_members",
        sa.Column("run_number", sa.BigInteger, primary_key=True),
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("last_activity_at", UtcDateTime, nullable=False),
        sa.Column("asked", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("outcome_at", UtcDateTime),
    )
    unanswered = sa.text("outcome IS NULL")
    op.create_index(
        "run_members_open", "run_members", ["run_number"], postgresql_where=unanswered, sqlite_where=unanswered
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("id", sa.Uuid, nullable=False, unique=True),
        sa.Column("slot", sa.Integer, unique=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("requested_by", sa.Uuid),
        sa.Column("threshold_days", sa.Integer, nullable=False),
        sa.Column("cutoff", UtcDateTime, nullable=False),
        sa.Column("exempt_roles", Json, nullable=False),
        sa.Column("expect_up_to", sa.Integer),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("planned_at", UtcDateTime),
        sa.Column("completed_at", UtcDateTime, index=True),
        sa.Column("asked_up_to", sa.Uuid),
        sa.Column("asked_all_at", UtcDateTime),
        sa.Column("candidates", sa.Integer, nullable=False),
        sa.Column("deactivated", sa.Integer, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("active_users_remaining", sa.Integer),
        sa.Column("objection", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("correlation_id", sa.Text, nullable=False),
    )
