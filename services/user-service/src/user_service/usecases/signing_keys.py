"""The keys that sign tokens, and how one follows another without a token being refused.

A new key is published as soon as it is made and signs only once every verifier must have seen it; the key before it
stays published until the last token it signed is dead.
"""

import threading
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from service_chassis.errors import Unavailable
from service_chassis.tokens import LONGEST_LEEWAY
from service_chassis.unit_of_work import Units
from user_service.model.signing import SigningKey
from user_service.persistence.unit_of_work import UnitOfWork

LEAD = timedelta(minutes=15)
"""How long a key is published before it signs: longer than any verifier keeps the keys it has fetched."""
FRESH = timedelta(seconds=30)
USABLE = timedelta(seconds=60)
"""How long a process remembers the keys before it reads them again, and at the latest when it has to sign."""


class NoSigningKey(Unavailable):
    """There is no key to sign with yet."""

    code = "no_signing_key"


class SharedKey:
    """One secret instead, which verifiers have as well: nothing is published, and nothing follows it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def current(self) -> tuple[str, str]:
        """Return the secret to sign with, under a name that tells nothing."""
        return "shared", self._secret

    def at_hand(self) -> None:
        """Do nothing: it is."""

    def jwks(self) -> dict[str, Any]:
        """Return no keys."""
        return {"keys": []}


class SigningKeys:
    """The signing keys in the database, remembered for half a minute."""

    def __init__(self, units: Units[UnitOfWork], secret: str) -> None:
        self._units = units
        self._secret = secret
        self._guard = threading.Lock()
        self._keys: list[tuple[SigningKey, RSAPrivateKey]] = []
        self._read_at: datetime | None = None

    def current(self) -> tuple[str, RSAPrivateKey]:
        """Return the id and the private half of the key to sign with. Raises NoSigningKey."""
        keys = self._keys if self._read_within(USABLE) else self._fresh()
        if not keys:
            raise NoSigningKey(retry_after=2)
        known_everywhere = self._units.clock.now() - LEAD
        key, private = next((pair for pair in keys if pair[0].created_at <= known_everywhere), keys[-1])
        return key.kid, private

    def at_hand(self) -> None:
        """Read the keys if it is time, so that no transaction has to open a second connection for them."""
        self._fresh()

    def jwks(self) -> dict[str, Any]:
        """Return the public halves, as every verifier reads them (RFC 7517)."""
        return {"keys": [key.public_jwk for key, _ in self._fresh()]}

    def _read_within(self, limit: timedelta) -> bool:
        return self._read_at is not None and self._units.clock.now() - self._read_at < limit

    def _fresh(self) -> list[tuple[SigningKey, RSAPrivateKey]]:
        with self._guard:
            if not self._keys or not self._read_within(FRESH):
                with self._units.read() as uow:
                    self._keys = [(key, key.private_key(self._secret)) for key in uow.signing_keys.all()]
                self._read_at = self._units.clock.now()
            return self._keys


def ensure(uow: UnitOfWork, secret: str) -> None:
    """Make the first signing key if there is none."""
    if not uow.signing_keys.all():
        uow.signing_keys.add(SigningKey.generate(secret, at=uow.now))


def rotate(uow: UnitOfWork, secret: str) -> SigningKey:
    """Publish the next key, or return the one that is published already and does not sign yet."""
    newest = uow.signing_keys.all()[0]
    if newest.created_at > uow.now - LEAD:
        return newest
    return uow.signing_keys.add(SigningKey.generate(secret, at=uow.now))


def rotate_when_due(uow: UnitOfWork, secret: str) -> None:
    """Publish the next key, as a job does that has nothing more to do then."""
    rotate(uow, secret)


def is_due(uow: UnitOfWork, interval: timedelta) -> bool:
    """Say whether the newest key has served its time."""
    return uow.signing_keys.all()[0].created_at <= uow.now - interval


def forget(uow: UnitOfWork, tokens_live: timedelta) -> None:
    """Withdraw the keys whose last token is dead."""
    # A process that has not read the keys lately signs with the old one a little longer than the others.
    uow.signing_keys.forget(uow.now - LEAD - USABLE - tokens_live - LONGEST_LEEWAY)
