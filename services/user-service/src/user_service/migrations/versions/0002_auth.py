"""Throttles, one-time tokens, recovery requests, opaque tokens and service clients."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import Json, UtcDateTime

revision = "user_0002"
down_revision = "user_0001"


def upgrade() -> None:
    op.add_column("users", sa.Column("email_verified_at", UtcDateTime))
    op.add_column("sessions", sa.Column("token_hash", sa.LargeBinary))
    op.add_column("sessions", sa.Column("address", sa.Text))
    op.add_column("sessions", sa.Column("user_agent", sa.Text))
    opaque = sa.text("token_hash IS NOT NULL")
    op.create_index(
        "sessions_opaque", "sessions", ["token_hash"], unique=True, postgresql_where=opaque, sqlite_where=opaque
    )
    op.create_table(
        "throttles",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("blocked_until", UtcDateTime, nullable=False),
        sa.Column("forget_at", UtcDateTime, nullable=False, index=True),
    )
    op.create_table(
        "one_time_tokens",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
        sa.UniqueConstraint("user_id", "purpose", name="one_time_tokens_newest"),
    )
    op.create_table(
        "recovery_requests",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("email", sa.Text, primary_key=True),
        sa.Column("details", Json, nullable=False),
        sa.Column("requested_at", UtcDateTime, nullable=False, index=True),
        sa.Column("correlation_id", sa.Text),
    )
    op.create_table(
        "service_clients",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Text, nullable=False, unique=True),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
