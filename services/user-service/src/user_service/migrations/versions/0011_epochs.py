"""Versions that hold an epoch, and when somebody was purged, which a snapshot tells."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import UtcDateTime

revision = "user_0011"
down_revision = "user_0010"

PURGED = sa.text(
    """
    UPDATE users SET purged_at = coalesce(
        (SELECT max(at) FROM user_history WHERE user_id = users.id AND action = 'user_purged'), deactivated_at
    )
    WHERE status = 'purged'
    """
)


def upgrade() -> None:
    op.add_column("users", sa.Column("purged_at", UtcDateTime))
    op.execute(PURGED)
    # SQLite's integers have 64 bits whatever the column is called.
    if op.get_bind().dialect.name == "postgresql":
        for table in ("users", "accounts", "memberships"):
            op.alter_column(table, "version", type_=sa.BigInteger)
