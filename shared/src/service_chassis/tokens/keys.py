"""The keys tokens are verified with: the issuer's published ones, or one shared secret."""

import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol

import jwt
import msgspec

from service_chassis.errors import ServiceError
from service_chassis.tokens.principal import InvalidToken, KeysUnavailable

ACCEPTED_KID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SHORTEST_SECRET = 32
FIRST_LOAD_PAUSE = 1.0
"""Seconds between attempts to get the very first keys, while nothing can be verified anyway."""


class Keys(Protocol):
    """What a verifier needs of its keys."""

    @property
    def loaded(self) -> bool:
        """Whether there are keys to verify with."""

    def knows(self, kid: object) -> bool:
        """Say whether a key is at hand; never waits."""

    def key(self, kid: object) -> jwt.PyJWK | bytes:
        """Return the key of this id, fetching the published keys where that may help.

        Raises InvalidToken, KeysUnavailable.
        """


class SharedSecret:
    """The one key of HS256, whatever the token calls it."""

    loaded = True

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        if len(self._secret) < SHORTEST_SECRET:
            raise ValueError(f"A shared secret has at least {SHORTEST_SECRET} bytes.")

    def load(self) -> bool:
        """Say that the key is there, as it always is."""
        return True

    def knows(self, kid: object) -> bool:  # noqa: ARG002  # There is one key, so nothing to tell apart.
        return True

    def key(self, kid: object) -> bytes:  # noqa: ARG002  # There is one key, so nothing to tell apart.
        return self._secret


class _Published(msgspec.Struct):
    keys: list[dict[str, Any]]


class KeySet:
    """The issuer's published keys, fetched now and then, and kept for hours when that fails.

    Known keys never wait for a fetch: one that is due runs in a thread of its own. An unknown key id is worth one
    fetch per cooldown, for which its callers wait together.
    """

    def __init__(
        self,
        fetch: Callable[[], bytes | Mapping[str, Any]],
        *,
        lifetime: timedelta = timedelta(minutes=5),
        cooldown: timedelta = timedelta(seconds=30),
        usable_for: timedelta = timedelta(hours=24),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._lifetime = lifetime.total_seconds()
        self._cooldown = cooldown.total_seconds()
        self._usable_for = usable_for.total_seconds()
        self._now = now
        self._fetching = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf

    @property
    def loaded(self) -> bool:
        return bool(self._keys) and self._now() - self._fetched_at < self._usable_for

    def load(self) -> bool:
        """Fetch the keys if there are none yet and it is time to try; say whether there are. Readiness asks this."""
        if not self.loaded:
            self._fetch_together()
        return self.loaded

    def knows(self, kid: object) -> bool:
        if self._keys and self._now() - self._fetched_at >= self._lifetime:
            self._fetch_aside()
        return self.loaded and kid in self._keys

    def key(self, kid: object) -> jwt.PyJWK:
        if not isinstance(kid, str) or not ACCEPTED_KID.fullmatch(kid):
            raise InvalidToken
        if not self.knows(kid):
            self._fetch_together()
        if not self.loaded:
            raise KeysUnavailable
        found = self._keys.get(kid)
        if found is None:
            raise InvalidToken
        return found

    @property
    def _due(self) -> bool:
        return self._now() - self._tried_at >= (self._cooldown if self._keys else FIRST_LOAD_PAUSE)

    def _fetch_together(self) -> None:
        with self._fetching:
            self._refresh_if_due()

    def _fetch_aside(self) -> None:
        if self._due and self._fetching.acquire(blocking=False):
            threading.Thread(target=self._refresh_and_release, name="token-keys", daemon=True).start()

    def _refresh_and_release(self) -> None:
        try:
            self._refresh_if_due()
        finally:
            self._fetching.release()

    def _refresh_if_due(self) -> None:
        if not self._due:
            return
        self._tried_at = self._now()
        try:
            keys = _usable(self._fetch())
        except (ServiceError, OSError, msgspec.MsgspecError):
            # Keys change rarely; those at hand serve until the issuer answers again, and `loaded` tells when too old.
            return
        if keys:
            self._keys = keys
            self._fetched_at = self._tried_at


def _usable(document: bytes | Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    if isinstance(document, bytes):
        published = msgspec.json.decode(document, type=_Published)
    else:
        published = msgspec.convert(document, _Published)
    keys = ((jwk.get("kid"), _public(jwk)) for jwk in published.keys)
    return {kid: key for kid, key in keys if key is not None and isinstance(kid, str) and ACCEPTED_KID.fullmatch(kid)}


def _public(jwk: dict[str, Any]) -> jwt.PyJWK | None:
    """Return the key if it is public and verifies signatures; one that cannot be read must not take others with it."""
    if jwk.get("kty") == "oct" or "d" in jwk or jwk.get("use", "sig") != "sig":
        return None
    try:
        return jwt.PyJWK(jwk)
    except (jwt.PyJWTError, TypeError, ValueError):
        return None
