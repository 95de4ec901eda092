"""Heartbeats tell the state of the breaker in front of the broker."""

import sqlalchemy as sa
from alembic import op

revision = "chassis_0002"
down_revision = "chassis_0001"


def upgrade() -> None:
    op.add_column("heartbeats", sa.Column("broker_state", sa.Text))
