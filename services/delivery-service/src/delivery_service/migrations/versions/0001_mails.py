"""Mails on their way."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import Json, UtcDateTime

revision = "delivery_0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid),
        sa.Column("recipient", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("template_code", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("variables", Json, nullable=False),
        sa.Column("sealed_variables", sa.Text),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("answer", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", UtcDateTime, nullable=False),
        sa.Column("correlation_id", sa.Text),
        sa.Column("requested_at", UtcDateTime, nullable=False),
        sa.Column("settled_at", UtcDateTime),
    )
    pending = sa.text("status = 'pending'")
    op.create_index("mails_due", "mails", ["next_attempt_at"], sqlite_where=pending, postgresql_where=pending)
    op.create_index("mails_user", "mails", ["user_id"])
    op.create_index("mails_age", "mails", ["requested_at"])
