"""Verification of tokens on an event loop, which must never wait for the issuer's keys."""

import asyncio
from contextlib import suppress
from typing import Protocol

import jwt

from service_chassis.errors import ServiceError
from service_chassis.tokens import InvalidToken, Keys, KeysUnavailable, Principal


class Verifier(Protocol):
    def verify(self, token: str) -> Principal:
        """Return whose token this is."""


class KeyMissing(Exception):
    """A token names a key that is not at hand; fetching the keys may help."""

    def __init__(self, kid: object) -> None:
        self.kid = kid
        super().__init__(str(kid))


class KeysAtHand:
    """The same keys, except that asking for one never waits."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    @property
    def loaded(self) -> bool:
        return self._keys.loaded

    def knows(self, kid: object) -> bool:
        return isinstance(kid, str) and self._keys.knows(kid)

    def key(self, kid: object) -> jwt.PyJWK | bytes:
        """Return the key; raises KeyMissing where finding out more would take a fetch."""
        if not isinstance(kid, str):
            raise InvalidToken
        if not self._keys.knows(kid):
            raise KeyMissing(kid)
        return self._keys.key(kid)


class LoopVerifier:
    """Verifies on the loop itself; only a fetch of keys goes to a thread, one for all who wait for it."""

    def __init__(self, verifier: Verifier, keys: Keys) -> None:
        """Take a verifier that asks `KeysAtHand(keys)`."""
        self._verifier = verifier
        self._keys = keys
        self._fetching: asyncio.Task[None] | None = None

    async def verify(self, token: str) -> Principal:
        """Return whose token this is; raises InvalidToken, TokenExpired, KeysUnavailable."""
        try:
            return self._verifier.verify(token)
        except KeyMissing as missing:
            await self._fetch(missing.kid)
        try:
            return self._verifier.verify(token)
        except KeyMissing as missing:
            raise (InvalidToken() if self._keys.loaded else KeysUnavailable(retry_after=1)) from missing

    async def _fetch(self, kid: object) -> None:
        """Have the keys fetched, or wait for the fetch under way; one caller leaving does not end it for the others."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(self._ask(kid))
        await asyncio.shield(self._fetching)

    async def _ask(self, kid: object) -> None:
        # What comes of it is seen in the keys, by each waiting token for itself.
        with suppress(ServiceError):
            await asyncio.to_thread(self._keys.key, kid)
