"""Usernames, and which account is a user's own."""

import sqlalchemy as sa
from alembic import op

revision = "user_0004"
down_revision = "user_0003"

OWN_ACCOUNTS = sa.text(
    """
    UPDATE users SET home_account_id = (
        SELECT CASE WHEN memberships.revoked_at IS NULL THEN accounts.id ELSE 0 END
        FROM memberships JOIN accounts ON accounts.id = memberships.account_id
        WHERE memberships.user_id = users.id AND accounts.created_at = users.registered_at
        ORDER BY accounts.id LIMIT 1
    )
    WHERE EXISTS (SELECT 1 FROM memberships WHERE memberships.user_id = users.id)
    """
)
"""A registration opens its account at the same instant; 0 says that it is gone."""


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("users", sa.Column("username", sa.Text))
    op.add_column("users", sa.Column("home_account_id", number))
    given = sa.text("username IS NOT NULL")
    op.create_index("users_username", "users", ["username"], unique=True, postgresql_where=given, sqlite_where=given)
    op.execute(OWN_ACCOUNTS)
