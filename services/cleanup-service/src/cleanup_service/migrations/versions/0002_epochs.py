"""Versions that hold the epoch of their owner."""

import sqlalchemy as sa
from alembic import op

revision = "cleanup_0002"
down_revision = "cleanup_0001"


def upgrade() -> None:
    # SQLite's integers have 64 bits whatever the column is called.
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("users", "version", type_=sa.BigInteger)
