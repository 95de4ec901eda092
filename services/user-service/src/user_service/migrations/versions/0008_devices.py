"""Which devices of a user still count as known."""

import sqlalchemy as sa
from alembic import op

revision = "user_0008"
down_revision = "user_0007"


def upgrade() -> None:
    op.add_column("users", sa.Column("device_generation", sa.Integer, nullable=False, server_default="0"))
