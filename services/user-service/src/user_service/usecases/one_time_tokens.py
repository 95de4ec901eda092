"""Using up the tokens that went out by mail."""

from datetime import datetime

from sqlalchemy import Row

from user_service.model.errors import InvalidOneTimeToken
from user_service.model.one_time_token import Purpose
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import proof


def redeem(uow: UnitOfWork, token: str, purpose: Purpose) -> tuple[User, Row[str, datetime]]:
    """Use a token up; return its user, locked, and the token's `email` and `created_at`. Raises InvalidOneTimeToken.

    The user before the token, as whoever issues one or takes one back does, so that no two wait for each other.
    """
    holder = uow.one_time_tokens.holder(token, purpose, at=uow.now)
    proof.lock_what_may_end(uow, holder)
    user = uow.users.locked(holder)
    return user, uow.one_time_tokens.use(token, purpose, at=uow.now)


def redeem_by_address(uow: UnitOfWork, token: str, purpose: Purpose) -> User:
    """Use up a token that speaks for its user's present address. Raises InvalidOneTimeToken."""
    user, used = redeem(uow, token, purpose)
    if used.email != user.email:
        raise InvalidOneTimeToken
    return user
