"""The forms of the password hashes that are stored, so that the wait for a no can be the same for all of them."""

import sqlalchemy as sa
from alembic import op

from user_service.model.passwords import form_of

revision = "user_0010"
down_revision = "user_0009"

HASHES = sa.text("SELECT password_hash FROM users WHERE password_hash IS NOT NULL").execution_options(yield_per=10_000)


def upgrade() -> None:
    forms = op.create_table("password_forms", sa.Column("form", sa.Text, primary_key=True))
    stored = op.get_bind().execute(HASHES)
    found = {form for (password_hash,) in stored if (form := form_of(password_hash)) is not None}
    op.bulk_insert(forms, [{"form": form} for form in sorted(found)])
