"""Destinations and their leases, events, deliveries and attempts."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import Json, UtcDateTime

revision = "delivery_0002"
down_revision = "delivery_0001"


def upgrade() -> None:
    _destinations()
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("account_id", sa.Uuid),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.UniqueConstraint("account_id", "event_id"),
    )
    op.create_index("events_received", "events", ["received_at"])
    _deliveries()
    op.create_table(
        "attempts",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("delivery_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("request_headers", Json, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("queue_seconds", sa.Double, nullable=False),
        sa.Column("connect_seconds", sa.Double, nullable=False),
        sa.Column("first_byte_seconds", sa.Double),
        sa.Column("total_seconds", sa.Double, nullable=False),
    )
    op.create_index("attempts_delivery", "attempts", ["delivery_id", "id"])


def _destinations() -> None:
    op.create_table(
        "destinations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("http_method", sa.Text, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("event_types", Json, nullable=False),
        sa.Column("payload_filter", Json, nullable=False),
        sa.Column("rate_limit", sa.Double),
        sa.Column("timeout_seconds", sa.Double),
        sa.Column("retry_schedule", Json),
        sa.Column("ordered", sa.Boolean, nullable=False),
        sa.Column("platform", sa.Boolean, nullable=False),
        sa.Column("standing", sa.Text, nullable=False),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("previous_secret", sa.Text),
        sa.Column("previous_secret_until", UtcDateTime),
        sa.Column("breaker_state", sa.Text, nullable=False),
        sa.Column("breaker_failures", sa.Integer, nullable=False),
        sa.Column("breaker_opened_at", UtcDateTime),
        sa.Column("failing_since", UtcDateTime),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("deleted_at", UtcDateTime),
    )
    op.create_index("destinations_account", "destinations", ["account_id", "id"])
    op.create_table(
        "destination_leases",
        sa.Column("destination_id", sa.Uuid, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("account_id", sa.Uuid, nullable=False),
        sa.Column("destination_id", sa.Uuid, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("last_status", sa.Integer),
        sa.Column("last_error", sa.Text),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("processed_at", UtcDateTime),
    )
    waiting = sa.text("due_at IS NOT NULL")
    op.create_index(
        "deliveries_due",
        "deliveries",
        ["destination_id", "due_at", "id"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.create_index(
        "deliveries_in_order",
        "deliveries",
        ["destination_id", "id"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.create_index("deliveries_account", "deliveries", ["account_id", "id"])
    op.create_index("deliveries_destination", "deliveries", ["destination_id", "id"])
    op.create_index("deliveries_event", "deliveries", ["event_id"])
