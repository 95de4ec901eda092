"""Signing in, staying signed in, signing out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from service_chassis.logs import Log
from service_chassis.unit_of_work import Units
from user_service.messaging import publications
from user_service.model.device import ANYWHERE, Client
from user_service.model.email import normalised_email, plain_email
from user_service.model.errors import (
    InvalidCredentials,
    InvalidEmail,
    InvalidRefreshToken,
    InvalidUsername,
    RefreshTokenReused,
    TooManyAttempts,
)
from user_service.model.passwords import Passwords
from user_service.model.session import RefreshToken
from user_service.model.user import Signal, Status, User, normalised_username
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import accounts, activity, throttling
from user_service.usecases.opaque_tokens import OpaqueToken, hand_out
from user_service.usecases.throttling import Attempt, Attempts
from user_service.usecases.tokens import TokenPair, Tokens

GRACE = timedelta(seconds=10)
OVERTAKEN = 2
"""Generations by which a request that two others of its client have overtaken is behind."""
"""How long a used refresh token still yields the same successor, for parallel requests and lost answers."""

FORMS_REMEMBERED = timedelta(minutes=1)
"""How long a process takes to learn of forms of hashes that an import has brought."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands between a right password and a session."""

    attempts: Attempts
    require_verified_email: bool


@dataclass(frozen=True, slots=True)
class _Checked:
    """A password that was right a moment ago."""

    user_id: UUID
    stored: str
    renewed: str | None
    attempt: Attempt


class SignIn:
    """Checks passwords outside any transaction, because hashing is slow and connections are few."""

    def __init__(self, units: Units[UnitOfWork], passwords: Passwords, tokens: Tokens, gate: Gate, log: Log) -> None:
        self._units = units
        self._passwords = passwords
        self._tokens = tokens
        self._gate = gate
        self._log = log
        self._forms_until: datetime | None = None

    def __call__(self, account: str, password: str, client: Client = ANYWHERE) -> TokenPair:
        """Start a session for whoever has this e-mail address or username.

        An unknown name, a wrong password, an inactive user and, where it has to be, an address that is not confirmed
        all raise InvalidCredentials, and TooManyAttempts alike: who registers an address with a password of their own
        would otherwise learn by it whether the address was free.
        """
        checked = self._checked(account, password, client)
        self._tokens.keys.at_hand()
        with self._units.write() as uow:
            return self._tokens.start(uow, self._let_in(uow, checked), client)

    def for_opaque_token(self, account: str, password: str, client: Client = ANYWHERE) -> OpaqueToken:
        """Start a session that one token stands for until it is ended; raises the same."""
        checked = self._checked(account, password, client)
        with self._units.write() as uow:
            return hand_out(uow, self._let_in(uow, checked), client, self._tokens)

    def _checked(self, account: str, password: str, client: Client) -> _Checked:
        account = account.strip().lower()
        self._learn_forms()
        with self._units.read() as uow:
            user = _known(uow, account)
            # Guesses by username and by address count as one, under the address: two names must not be worth twice the
            # guesses, and what a success or a reset clears is all there is. A name nobody has counts by itself, and
            # looks the same. Only who already has both names of somebody can tell from this that they are one's.
            account = account if user is None else user.email
            attempt = self._attempt(uow, account, user, client)
            self._check_throttle(uow, attempt)
        stored = user.password_hash if user is not None and self._may_enter(user) else None
        if not self._passwords.matches(password, stored) or user is None or stored is None:
            self._refuse(attempt, account)
        renewed = self._passwords.hash(password) if self._passwords.is_outdated(stored) else None
        return _Checked(user.id, stored, renewed, attempt)

    def _learn_forms(self) -> None:
        """Let a no take as long as for any form of hash that is stored; an import brings new ones now and then."""
        now = self._units.clock.now()
        if self._forms_until is not None and now < self._forms_until:
            return
        with self._units.read() as uow:
            forms = uow.password_forms.all()
        self._passwords.know(forms)
        self._forms_until = now + FORMS_REMEMBERED

    def _may_enter(self, user: Any) -> bool:
        confirmed = user.email_verified_at is not None or not self._gate.require_verified_email
        return bool(user.status == Status.ACTIVE and confirmed)

    def _attempt(self, uow: UnitOfWork, account: str, user: Any, client: Client) -> Attempt:
        device = user and self._tokens.devices.recognise(
            client.device_token, user.id, at=uow.now, generation=user.device_generation
        )
        if device:
            return self._gate.attempts.of_device(device, account, client)
        return self._gate.attempts.of_account(account, client)

    def _check_throttle(self, uow: UnitOfWork, attempt: Attempt) -> None:
        try:
            throttling.check(uow, attempt)
        except TooManyAttempts:
            self._log.warning("authn_login_fail_max", counted_under=sorted(attempt.paces))
            raise

    def _refuse(self, attempt: Attempt, account: str) -> NoReturn:
        self._log.warning("authn_login_fail", account=self._gate.attempts.account_key(account))
        with self._units.write() as uow:
            throttling.failed(uow, attempt)
        raise InvalidCredentials

    def _let_in(self, uow: UnitOfWork, checked: _Checked) -> User:
        user = uow.users.locked(checked.user_id)
        if not self._may_enter(user) or user.password_hash != checked.stored:
            # Deactivated, or given another address or given another password, while the password was being checked.
            raise InvalidCredentials
        throttling.succeeded(uow, checked.attempt)
        if checked.renewed is not None:
            user.password_hash = checked.renewed
        if user.home is None:
            accounts.open_home(uow, user, by=str(user.id))
        user.signs_in(at=uow.now)
        uow.publish(publications.activity_recorded(user.id, Signal.SIGN_IN, uow.now))
        self._log.info("authn_login_success", user_id=str(user.id))
        return user


def refresh(uow: UnitOfWork, presented: str, tokens: Tokens) -> TokenPair:
    """Exchange a refresh token for its successor and a new access token.

    Within the grace window a used token yields the same successor again, and the one before it is only refused, because
    parallel requests of one client may overtake each other. Any other used token ends the session, because two parties
    hold its tokens. Raises InvalidRefreshToken, RefreshTokenReused.
    """
    token = RefreshToken.parse(presented)
    session = uow.sessions.get(token.session_id)
    if session is None or not tokens.refresh.is_genuine(token, session):
        raise InvalidRefreshToken
    # The user before the session, as deactivations do, so that one waits for the other and knows what it did.
    user = uow.users.locked(session.user_id)
    expires_at = tokens.expiry(session, at=uow.now)
    if not uow.sessions.step(session.id, token.counter, at=uow.now, expires_at=expires_at):
        _check_grace(uow, user, token, tokens)
    if not user.is_active:
        raise InvalidRefreshToken
    activity.seen(uow, user, Signal.REFRESH)
    return tokens.issue(uow, user, session, token.counter + 1)


def sign_out(uow: UnitOfWork, session_id: UUID, *, tokens_live: timedelta) -> None:
    """End a session; its access tokens are refused everywhere within seconds."""
    uow.sessions.end(session_id, reason="logout", at=uow.now, tokens_live=tokens_live)


def _known(uow: UnitOfWork, account: str) -> Any:
    """Return the credentials of whoever has this address or username, or None; it is one query in any case."""
    try:
        if "@" in account:
            return uow.users.credentials(_spelling(account), plain_email(account))
        return uow.users.credentials_by_username(normalised_username(account))
    except InvalidUsername:
        return None


def _spelling(email: str) -> str:
    """Return how an address is kept; one that is none today may be that of a user from before."""
    try:
        return normalised_email(email)
    except InvalidEmail:
        return plain_email(email)


def _check_grace(uow: UnitOfWork, user: User, token: RefreshToken, tokens: Tokens) -> None:
    session = uow.sessions.get(token.session_id)
    if session is None or not session.is_live(at=uow.now):
        raise InvalidRefreshToken
    generations = session.counter - token.counter
    if generations <= OVERTAKEN and uow.now - session.rotated_at <= GRACE:
        if generations == OVERTAKEN:
            raise InvalidRefreshToken
        return
    uow.sessions.end(session.id, reason="refresh_token_reused", at=uow.now, tokens_live=tokens.rules.lifetime)
    uow.record("unknown", "authn_token_reuse", user)
    raise RefreshTokenReused
