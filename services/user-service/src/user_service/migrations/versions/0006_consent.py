"""Who has agreed to belong to an account; of memberships from before that is known where the account is one's own."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import UtcDateTime

revision = "user_0006"
down_revision = "user_0005"

OWN = sa.text(
    """
    UPDATE memberships SET consented_at = granted_at
    WHERE granted_at = (SELECT created_at FROM accounts WHERE accounts.id = memberships.account_id)
    OR account_id = (SELECT home_account_id FROM users WHERE users.id = memberships.user_id)
    """
)
"""Whoever opens an account belongs to it from the same instant."""


def upgrade() -> None:
    op.add_column("memberships", sa.Column("consented_at", UtcDateTime))
    op.execute(OWN)
