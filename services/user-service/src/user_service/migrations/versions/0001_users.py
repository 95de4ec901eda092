"""Users, their history, sessions and the keys that sign tokens."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import Json, UtcDateTime

revision = "user_0001"
down_revision = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "users",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Uuid, nullable=False, unique=True),
        sa.Column("email", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("registered_at", UtcDateTime, nullable=False),
        sa.Column("last_login_at", UtcDateTime),
        sa.Column("last_activity_at", UtcDateTime, nullable=False),
        sa.Column("reactivated_at", UtcDateTime),
        sa.Column("deactivated_at", UtcDateTime),
        sa.Column("deactivation_reason", sa.Text),
        sa.Column("deactivated_by_run", sa.Uuid),
        sa.Column("version", sa.Integer, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Every sign-in updates a row; room on its page spares the indexes a new entry each time.
        op.execute("ALTER TABLE users SET (fillfactor = 80)")
    admins = sa.text("role = 'admin'")
    op.create_index("users_admins", "users", ["number"], postgresql_where=admins, sqlite_where=admins)
    op.create_table(
        "user_history",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, nullable=False, index=True),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("correlation_id", sa.Text),
    )
    _sessions(number)
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("public_jwk", Json, nullable=False),
        sa.Column("private_pem", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )


def _sessions(number: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("counter", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("rotated_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("end_reason", sa.Text),
    )
    live = sa.text("ended_at IS NULL")
    op.create_index("sessions_live", "sessions", ["user_id"], postgresql_where=live, sqlite_where=live)
    op.create_table(
        "revocations",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False, index=True),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )
