"""Whose address nobody has proven yet since somebody registered with it."""

import sqlalchemy as sa
from alembic import op

revision = "user_0009"
down_revision = "user_0008"

REGISTERED_THEMSELVES = sa.text(
    """
    UPDATE users SET is_unproven = TRUE
    WHERE email_verified_at IS NULL
    AND EXISTS (
        SELECT 1 FROM user_history
        WHERE user_history.user_id = users.id
        AND user_history.action = 'user_registered' AND user_history.actor = 'self'
    )
    AND NOT EXISTS (
        SELECT 1 FROM user_history
        WHERE user_history.user_id = users.id
        AND user_history.action IN ('user_email_verified', 'user_email_changed', 'authn_password_change')
    )
    """
)
"""Who changed the password may have proven the address by that, which is not known; nothing is taken from them."""


def upgrade() -> None:
    op.add_column("users", sa.Column("is_unproven", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute(REGISTERED_THEMSELVES)
