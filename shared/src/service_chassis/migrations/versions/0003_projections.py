"""How far projections of other services' states are, and the epochs of this service's own."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import UtcDateTime

revision = "chassis_0003"
down_revision = "chassis_0002"


def upgrade() -> None:
    op.create_table(
        "projections",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("cursor", sa.Text, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
    )
    op.create_table(
        "epochs",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("begun_at", UtcDateTime, nullable=False),
    )
