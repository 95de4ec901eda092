"""One token for each address that can undo a change, and an index for everything that is deleted when it is old."""

import sqlalchemy as sa
from alembic import op

revision = "user_0005"
down_revision = "user_0004"


def upgrade() -> None:
    with op.batch_alter_table("one_time_tokens") as table:
        table.drop_constraint("one_time_tokens_newest", type_="unique")
        table.create_unique_constraint("one_time_tokens_newest", ["user_id", "purpose", "email"])
    ended = sa.text("ended_at IS NOT NULL")
    op.create_index("sessions_ended", "sessions", ["ended_at"], postgresql_where=ended, sqlite_where=ended)
    op.create_index("sessions_expiry", "sessions", ["expires_at"])
    op.create_index("revocations_expiry", "revocations", ["expires_at"])
    op.create_index("notifications_age", "notifications", ["created_at"])
    op.create_index("invitations_age", "invitations", ["created_at"])
    op.create_index("invitations_inviter", "invitations", ["invited_by", "created_at"])
