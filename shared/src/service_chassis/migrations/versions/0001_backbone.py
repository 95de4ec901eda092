"""The backbone's tables: outbox, inbox, failed messages, heartbeats and idempotency keys."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import UtcDateTime

revision = "chassis_0001"
down_revision = None


def upgrade() -> None:
    _outbox()
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text, primary_key=True),
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
    )
    op.create_index("inbox_received", "inbox", ["received_at"])
    _failed_messages()
    op.create_table(
        "heartbeats",
        sa.Column("worker", sa.Text, primary_key=True),
        sa.Column("beat_at", UtcDateTime, nullable=False),
        sa.Column("broker_at", UtcDateTime),
        sa.Column("queue_depth", sa.Integer),
        sa.Column("holds", sa.Text, nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("answer", sa.Text),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("idempotency_keys_created", "idempotency_keys", ["created_at"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Uuid, nullable=False),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("routing_key", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", UtcDateTime),
        sa.Column("last_error", sa.Text),
        sa.Column("published_at", UtcDateTime),
    )
    pending = sa.text("state = 'pending'")
    op.create_index("outbox_pending", "outbox", ["seq"], postgresql_where=pending, sqlite_where=pending)
    waiting = sa.text("state IN ('delayed', 'unroutable')")
    op.create_index("outbox_waiting", "outbox", ["next_attempt_at"], postgresql_where=waiting, sqlite_where=waiting)
    published = sa.text("state = 'published'")
    op.create_index("outbox_published", "outbox", ["published_at"], postgresql_where=published, sqlite_where=published)


def _failed_messages() -> None:
    op.create_table(
        "failed_messages",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("exchange", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", UtcDateTime),
        sa.Column("first_failed_at", UtcDateTime, nullable=False),
        sa.Column("last_failed_at", UtcDateTime, nullable=False),
    )
    op.create_index("failed_messages_message", "failed_messages", ["consumer", "message_id"], unique=True)
    op.create_index("failed_messages_due", "failed_messages", ["state", "next_attempt_at"])
