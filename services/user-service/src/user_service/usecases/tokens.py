"""The tokens a sign-in hands out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from user_service.model.device import Client, Devices
from user_service.model.service_client import ServiceClient
from user_service.model.session import RefreshTokens, Session
from user_service.model.signing import TokenRules, access_token, derived_key, service_claims, user_claims
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases.signing_keys import SharedKey, SigningKeys


@dataclass(frozen=True, slots=True)
class AccessToken:
    access_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105  # The name of the scheme.


@dataclass(frozen=True, slots=True)
class TokenPair:
    access_token: str
    refresh_token: str
    expires_in: int
    user: User
    device_token: str | None = None
    token_type: str = "Bearer"  # noqa: S105  # The name of the scheme.


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long sessions live beyond the access tokens they yield."""

    refresh: timedelta
    """Without a refresh."""
    session: timedelta
    """In any case."""
    opaque: timedelta


class Tokens:
    """Issues access and refresh tokens."""

    def __init__(self, keys: SigningKeys | SharedKey, rules: TokenRules, secret: str, lifetimes: Lifetimes) -> None:
        self.keys = keys
        self.rules = rules
        self.lifetimes = lifetimes
        self.refresh = RefreshTokens(derived_key(secret, "refresh-tokens"))
        self.devices = Devices(derived_key(secret, "devices"))

    def start(self, uow: UnitOfWork, user: User, client: Client) -> TokenPair:
        """Start a session of a user, on a device that is known from now on."""
        session = uow.sessions.add(Session.start(user.id, client, at=uow.now, lifetime=self.lifetimes.refresh))
        device = self.devices.issue(user.id, at=uow.now, generation=user.device_generation)
        return self.issue(uow, user, session, counter=0, device_token=device)

    def issue(
        self, uow: UnitOfWork, user: User, session: Session, counter: int, *, device_token: str | None = None
    ) -> TokenPair:
        """Return the tokens of a session at one value of its counter."""
        access = self.access(uow, user, session, lifetime=self.rules.lifetime)
        refresh = self.refresh.issue(session, counter)
        return TokenPair(access.access_token, refresh, access.expires_in, user, device_token)

    def access(self, uow: UnitOfWork, user: User, session: Session, *, lifetime: timedelta) -> AccessToken:
        """Return an access token alone."""
        return self._signed(user_claims(user, session.id), uow.now, lifetime)

    def of_service(self, uow: UnitOfWork, client: ServiceClient, *, lifetime: timedelta) -> AccessToken:
        """Return an access token for a service in its own name."""
        return self._signed(service_claims(client), uow.now, lifetime)

    def expiry(self, session: Session, *, at: datetime) -> datetime:
        """Return until when a session lives that is refreshed now: each refresh prolongs it, but not for ever."""
        return min(at + self.lifetimes.refresh, session.created_at + self.lifetimes.session)

    def _signed(self, claims: dict[str, str], at: datetime, lifetime: timedelta) -> AccessToken:
        token = access_token(claims, self.keys.current(), self.rules, at=at, lifetime=lifetime)
        return AccessToken(token, int(lifetime.total_seconds()))
