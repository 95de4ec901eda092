"""Opaque tokens: one string that stands for a session until it is ended, exchanged for short-lived access tokens."""

from dataclasses import dataclass
from datetime import timedelta

from user_service.model.device import Client
from user_service.model.errors import InvalidOpaqueToken
from user_service.model.secret import Secret
from user_service.model.session import Session
from user_service.model.user import Signal, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import activity
from user_service.usecases.tokens import AccessToken, Tokens

ACCESS = timedelta(minutes=1)
"""How long the access token lives that an opaque one is exchanged for; whoever keeps it keeps it half as long."""


@dataclass(frozen=True, slots=True)
class OpaqueToken:
    """`token` is known here and to its holder, and never again."""

    token: str
    session: Session
    user: User


def hand_out(uow: UnitOfWork, user: User, client: Client, tokens: Tokens) -> OpaqueToken:
    """Start a session that a new opaque token stands for."""
    secret = Secret.new()
    session = Session.opaque(user.id, secret, client, at=uow.now, lifetime=tokens.lifetimes.opaque)
    return OpaqueToken(secret.plain, uow.sessions.add(session), user)


def exchange(uow: UnitOfWork, token: str, tokens: Tokens) -> AccessToken:
    """Return an access token for an opaque one; counts as activity at most once an hour. Raises InvalidOpaqueToken."""
    session = uow.sessions.by_token(token)
    if session is None or not session.is_live(at=uow.now):
        raise InvalidOpaqueToken
    user = uow.users.locked(session.user_id)
    if not user.is_active or not uow.sessions.touch(session.id, at=uow.now):
        raise InvalidOpaqueToken
    if uow.now - user.last_activity_at >= activity.HOUR:
        activity.seen(uow, user, Signal.OPAQUE_TOKEN)
    return tokens.access(uow, user, session, lifetime=ACCESS)
