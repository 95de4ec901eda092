"""The token a service calls others with."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from service_chassis.clients.service import Data, ServiceClient, UpstreamRefused
from service_chassis.errors import Unavailable

PATH = "/api/v1/auth/token"
RENEW_AT = 0.8
"""The part of its life after which a token is renewed."""
RENEWAL_PAUSE = 1.0
"""Seconds between attempts to renew a token that still lasts."""


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    renew_at: float
    expires_at: float


class ClientCredentials:
    """A source of tokens for a ServiceClient; each token is fetched once for all threads and used until it expires.

    It is renewed early: while the old one lasts, nobody waits for the new one but the thread that fetches it, and
    a failed renewal does no harm.
    """

    def __init__(
        self, client: ServiceClient, client_id: str, client_secret: str, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Take tokens from the user-service behind `client`, which itself sends none."""
        self._client = client
        self._credentials = {"client_id": client_id, "client_secret": client_secret}
        self._now = now
        self._held = _Held("", renew_at=-math.inf, expires_at=-math.inf)
        self._renewing = threading.Lock()

    def __call__(self) -> str:
        """Return a token that has not expired; raises the client's errors when there is none."""
        held, now = self._held, self._now()
        if now < held.renew_at:
            return held.token
        if not self._renewing.acquire(blocking=now >= held.expires_at):
            return held.token
        try:
            self._renew()
        finally:
            self._renewing.release()
        return self._held.token

    def _renew(self) -> None:
        held, now = self._held, self._now()
        if now < held.renew_at:
            return
        try:
            self._held = self._granted(now)
        except (Unavailable, UpstreamRefused):
            if self._now() >= held.expires_at:
                raise
            self._held = replace(held, renew_at=min(self._now() + RENEWAL_PAUSE, held.expires_at))

    def _granted(self, asked_at: float) -> _Held:
        granted = self._client.post(PATH, self._credentials, Data[_Granted]).data
        life = granted.expires_in
        return _Held(granted.access_token, renew_at=asked_at + RENEW_AT * life, expires_at=asked_at + life)
