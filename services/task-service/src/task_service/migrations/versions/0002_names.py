"""The projection of users knows their names, as of a version of their own."""

import sqlalchemy as sa
from alembic import op

revision = "task_0002"
down_revision = "task_0001"


def upgrade() -> None:
    op.add_column("users", sa.Column("name", sa.Text))
    op.add_column("users", sa.Column("username", sa.Text))
    op.add_column("users", sa.Column("named_version", sa.Integer, nullable=False, server_default="0"))
