"""The tokens a sign-in hands out, and the keys that sign them."""

import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from service_chassis.errors import Unavailable
from service_chassis.unit_of_work import Units
from user_service.model.session import RefreshTokens, Session
from user_service.model.signing import SigningKey, TokenRules, access_token, derived_key
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork

KEYS_FRESH = 30.0
KEYS_USABLE = 60.0


class NoSigningKey(Unavailable):
    """There is no key to sign with yet."""

    code = "no_signing_key"


@dataclass(frozen=True, slots=True)
class TokenPair:
    access_token: str
    refresh_token: str
    expires_in: int
    user: User
    token_type: str = "Bearer"  # noqa: S105  # The name of the scheme.


class SigningKeys:
    """The signing keys in the database, remembered for half a minute."""

    def __init__(self, units: Units[UnitOfWork], secret: str) -> None:
        self._units = units
        self._secret = secret
        self._guard = threading.Lock()
        self._keys: list[tuple[SigningKey, RSAPrivateKey]] = []
        self._read_at = 0.0

    def current(self) -> tuple[str, RSAPrivateKey]:
        """Return the id and the private half of the key to sign with. Raises NoSigningKey."""
        keys = self._keys if time.monotonic() - self._read_at < KEYS_USABLE else self._fresh()
        if not keys:
            raise NoSigningKey(retry_after=2)
        key, private = keys[0]
        return key.kid, private

    def at_hand(self) -> None:
        """Read the keys if it is time, so that no transaction has to open a second connection for them."""
        self._fresh()

    def jwks(self) -> dict[str, Any]:
        """Return the public halves, as every verifier reads them (RFC 7517)."""
        return {"keys": [key.public_jwk for key, _ in self._fresh()]}

    def _fresh(self) -> list[tuple[SigningKey, RSAPrivateKey]]:
        with self._guard:
            if not self._keys or time.monotonic() - self._read_at > KEYS_FRESH:
                with self._units.read() as uow:
                    self._keys = [(key, key.private_key(self._secret)) for key in uow.signing_keys.all()]
                self._read_at = time.monotonic()
            return self._keys


class Tokens:
    """Issues access and refresh tokens."""

    def __init__(self, keys: SigningKeys, rules: TokenRules, secret: str, refresh_lifetime: timedelta) -> None:
        self.keys = keys
        self.rules = rules
        self.refresh_lifetime = refresh_lifetime
        self.refresh = RefreshTokens(derived_key(secret, "refresh-tokens"))

    def issue(self, uow: UnitOfWork, user: User, session: Session, counter: int) -> TokenPair:
        """Return the tokens of a session at one value of its counter."""
        return TokenPair(
            access_token=access_token(user, session.id, self.keys.current(), self.rules, uow.now),
            refresh_token=self.refresh.issue(session, counter),
            expires_in=int(self.rules.lifetime.total_seconds()),
            user=user,
        )


def ensure_signing_key(uow: UnitOfWork, secret: str) -> None:
    """Make the first signing key if there is none."""
    if not uow.signing_keys.all():
        uow.signing_keys.add(SigningKey.generate(secret, at=uow.now))
