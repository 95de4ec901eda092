"""Preferences, accounts, invitations and notifications."""

import sqlalchemy as sa
from alembic import op

from service_chassis.database.types import Json, UtcDateTime

revision = "user_0003"
down_revision = "user_0002"


def upgrade() -> None:
    op.add_column("users", sa.Column("push_token", sa.Text))
    op.create_table(
        "user_preferences",
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("email", sa.Boolean, nullable=False),
        sa.Column("push", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    _accounts(number)
    _members(number)
    _notifications()


def _accounts(number: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "accounts",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("website", sa.Text),
        sa.Column("sealed_token", sa.Text, nullable=False),
        sa.Column("token_hash", sa.Text, nullable=False, index=True),
        sa.Column("previous_token_hash", sa.Text, index=True),
        sa.Column("previous_token_until", UtcDateTime),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("deleted_at", UtcDateTime),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_table(
        "account_history",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("account_id", number, nullable=False, index=True),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("correlation_id", sa.Text),
    )


def _members(number: sa.types.TypeEngine[int]) -> None:
    op.create_table(
        "memberships",
        sa.Column("account_id", number, sa.ForeignKey("accounts.id"), primary_key=True),
        sa.Column("user_id", sa.Uuid, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("role", sa.Integer, nullable=False),
        sa.Column("granted_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime),
        sa.Column("version", sa.Integer, nullable=False),
    )
    op.create_index("memberships_user", "memberships", ["user_id"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("account_id", number, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("email", sa.Text, nullable=False, index=True),
        sa.Column("role", sa.Integer, nullable=False),
        sa.Column("token_digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("invited_by", sa.Uuid, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("accepted_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
    )


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("template_code", sa.Text, nullable=False),
        sa.Column("variables", Json, nullable=False),
        sa.Column("details", Json, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("correlation_id", sa.Text),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_index("notifications_user", "notifications", ["user_id", "id"])
