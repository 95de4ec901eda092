"""Versions that hold the epoch of their owner."""

import sqlalchemy as sa
from alembic import op

revision = "task_0003"
down_revision = "task_0002"


def upgrade() -> None:
    # SQLite's integers have 64 bits whatever the column is called.
    if op.get_bind().dialect.name == "postgresql":
        for column in ("version", "named_version"):
            op.alter_column("users", column, type_=sa.BigInteger)
