"""The tables of the backbone; every service's database has them, and the chassis's own migrations make them."""

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, Uuid, text

from service_chassis.database.types import UtcDateTime

metadata = MetaData()

# SQLite numbers rows by itself only in a column that is exactly INTEGER PRIMARY KEY.
Sequence = BigInteger().with_variant(Integer(), "sqlite")

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Sequence, primary_key=True, autoincrement=True),
    Column("message_id", Uuid, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("events", Integer, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", UtcDateTime),
    Column("last_error", Text),
    Column("published_at", UtcDateTime),
    Index(
        "outbox_pending",
        "seq",
        postgresql_where=text("state = 'pending'"),
        sqlite_where=text("state = 'pending'"),
    ),
    Index(
        "outbox_waiting",
        "next_attempt_at",
        postgresql_where=text("state IN ('delayed', 'unroutable')"),
        sqlite_where=text("state IN ('delayed', 'unroutable')"),
    ),
    Index(
        "outbox_published",
        "published_at",
        postgresql_where=text("state = 'published'"),
        sqlite_where=text("state = 'published'"),
    ),
)

inbox = Table(
    "inbox",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("event_id", Uuid, primary_key=True),
    Column("mark", Text, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Index("inbox_received", "received_at"),
)

failed_messages = Table(
    "failed_messages",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("consumer", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime),
    Column("first_failed_at", UtcDateTime, nullable=False),
    Column("last_failed_at", UtcDateTime, nullable=False),
    Index("failed_messages_message", "consumer", "message_id", unique=True),
    Index("failed_messages_due", "state", "next_attempt_at"),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("worker", Text, primary_key=True),
    Column("beat_at", UtcDateTime, nullable=False),
    Column("broker_at", UtcDateTime),
    Column("broker_state", Text),
    Column("queue_depth", Integer),
    Column("holds", Text, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer),
    Column("answer", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Index("idempotency_keys_created", "created_at"),
)
