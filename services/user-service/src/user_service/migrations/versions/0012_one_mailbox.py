"""Addresses in the one spelling of their mailbox.

Two users who would become one are left as they are, and named in the log: who they are only people can tell.
"""

import logging
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

from user_service.model.email import normalised_email
from user_service.model.errors import InvalidEmail

revision = "user_0012"
down_revision = "user_0011"

# Others are spelt as they were.
CANDIDATES = {
    "postgresql": sa.text("SELECT id, email FROM users WHERE email ~ '[^[:ascii:]]|xn--' ORDER BY id"),
    "sqlite": sa.text("SELECT id, email FROM users WHERE email GLOB '*[^ -~]*' OR email LIKE '%xn--%' ORDER BY id"),
}
TAKEN = sa.text("SELECT id FROM users WHERE email = :email")
RESPELL = sa.text("UPDATE users SET email = :email, version = version + 1 WHERE id = :id")


def upgrade() -> None:
    connection = op.get_bind()
    for user_id, spelling, email in _respelt(connection.execute(CANDIDATES[connection.dialect.name]).all()):
        holder = connection.execute(TAKEN, {"email": email}).scalar()
        if holder is None:
            connection.execute(RESPELL, {"id": user_id, "email": email})
        else:
            logging.getLogger("user_service").warning(
                "Users %s and %s have one mailbox in two spellings; %s keeps its own.", holder, user_id, spelling
            )


def _respelt(rows: Iterable[Any]) -> Iterable[tuple[object, str, str]]:
    for user_id, spelling in rows:
        try:
            email = normalised_email(spelling)
        except InvalidEmail:
            continue
        if email != spelling:
            yield user_id, spelling, email
