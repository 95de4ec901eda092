"""Signing in, staying signed in, signing out."""

from datetime import timedelta
from uuid import UUID

from service_chassis.unit_of_work import Units
from user_service.messaging import publications
from user_service.model.errors import InvalidCredentials, InvalidEmail, InvalidRefreshToken, RefreshTokenReused
from user_service.model.passwords import Passwords
from user_service.model.session import RefreshToken, Session
from user_service.model.user import Signal, User, normalised_email
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import activity
from user_service.usecases.tokens import TokenPair, Tokens

GRACE = timedelta(seconds=10)
"""How long a used refresh token still yields the same successor, for parallel requests and lost answers."""


class SignIn:
    """Checks passwords outside any transaction, because hashing is slow and connections are few."""

    def __init__(self, units: Units[UnitOfWork], passwords: Passwords, tokens: Tokens) -> None:
        self._units = units
        self._passwords = passwords
        self._tokens = tokens

    def __call__(self, email: str, password: str) -> TokenPair:
        """Start a session. An unknown address, a wrong password and an inactive user all raise InvalidCredentials."""
        user = self._user(email)
        usable = user is not None and user.is_active
        stored = user.password_hash if user is not None and usable else None
        if not self._passwords.matches(password, stored) or user is None or stored is None:
            raise InvalidCredentials
        renewed = self._passwords.hash(password) if self._passwords.is_outdated(stored) else None
        self._tokens.keys.at_hand()
        with self._units.write() as uow:
            return self._start(uow, user.id, checked=stored, renewed=renewed)

    def _user(self, email: str) -> User | None:
        try:
            address = normalised_email(email)
        except InvalidEmail:
            return None
        with self._units.read() as uow:
            return uow.users.by_email(address)

    def _start(self, uow: UnitOfWork, user_id: UUID, *, checked: str, renewed: str | None) -> TokenPair:
        user = uow.users.locked(user_id)
        if not user.is_active or user.password_hash != checked:
            # Deactivated, or given another password, while the password was being checked.
            raise InvalidCredentials
        if renewed is not None:
            user.password_hash = renewed
        user.signs_in(at=uow.now)
        session = uow.sessions.add(Session.start(user.id, at=uow.now, lifetime=self._tokens.refresh_lifetime))
        uow.publish(publications.activity_recorded(user.id, Signal.SIGN_IN, uow.now))
        return self._tokens.issue(uow, user, session, counter=0)


def refresh(uow: UnitOfWork, presented: str, tokens: Tokens) -> TokenPair:
    """Exchange a refresh token for its successor and a new access token.

    Within the grace window a used token yields the same successor again; after it the session is ended, because two
    parties hold its tokens. Raises InvalidRefreshToken, RefreshTokenReused.
    """
    token = RefreshToken.parse(presented)
    session = uow.sessions.get(token.session_id)
    if session is None or not tokens.refresh.is_genuine(token, session):
        raise InvalidRefreshToken
    # The user before the session, as deactivations do, so that one waits for the other and knows what it did.
    user = uow.users.locked(session.user_id)
    if not uow.sessions.step(session.id, token.counter, at=uow.now):
        _check_grace(uow, token, tokens)
    if not user.is_active:
        raise InvalidRefreshToken
    activity.seen(uow, user, Signal.REFRESH)
    return tokens.issue(uow, user, session, token.counter + 1)


def sign_out(uow: UnitOfWork, session_id: UUID, *, tokens_live: timedelta) -> None:
    """End a session; its access tokens are refused everywhere within seconds."""
    uow.sessions.end(session_id, reason="logout", at=uow.now, tokens_live=tokens_live)


def _check_grace(uow: UnitOfWork, token: RefreshToken, tokens: Tokens) -> None:
    session = uow.sessions.get(token.session_id)
    if session is None or not session.is_live(at=uow.now):
        raise InvalidRefreshToken
    if token.counter + 1 == session.counter and uow.now - session.rotated_at <= GRACE:
        return
    uow.sessions.end(session.id, reason="refresh_token_reused", at=uow.now, tokens_live=tokens.rules.lifetime)
    raise RefreshTokenReused
