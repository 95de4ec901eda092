"""What services may ask for. Steward's own get theirs at the next start; others are let in again with theirs."""

import sqlalchemy as sa
from alembic import op

revision = "user_0007"
down_revision = "user_0006"


def upgrade() -> None:
    op.add_column("service_clients", sa.Column("scope", sa.Text, nullable=False, server_default=sa.text("''")))
