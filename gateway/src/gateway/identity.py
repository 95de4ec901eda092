"""What the gateway must know to tell who calls: the issuer's keys and the sessions that have ended."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from gateway.config import Settings
from gateway.routes import USER
from service_chassis.aio import KeysAtHand, LoopVerifier
from service_chassis.breaker import Breaker
from service_chassis.clients import Pool, ServiceClient
from service_chassis.clock import SystemClock
from service_chassis.revocation import LONGEST_FEED, RevocationList, RevocationPoller, feed_of
from service_chassis.tokens import Keys, KeySet, SharedSecret, TokenVerifier

JWKS = "/.well-known/jwks.json"
WITHIN = timedelta(seconds=2)
PAUSE = timedelta(seconds=1)
"""How long the issuer is left alone after failures; ended sessions must be known again soon after it is back."""
LOOK_EVERY = 0.5
LAST_CALL = 0.5
"""Seconds the threads are waited for at the end; one that hangs in a call does not keep the process."""


class Identity:
    """Verifier and list of ended sessions; threads keep both up to date while it is `running`."""

    def __init__(self, settings: Settings) -> None:
        clock = SystemClock()
        breaker = Breaker(USER, settings.breaker.at_most(PAUSE))
        transport = Pool(longest_body=LONGEST_FEED)
        self._issuer = ServiceClient(settings.services[USER], breaker=breaker, within=WITHIN, transport=transport)
        self._keys = _keys(settings, self._issuer)
        self._begun = threading.Event()
        self.revocations = RevocationList(clock)
        verifier = TokenVerifier(
            KeysAtHand(self._keys) if isinstance(self._keys, KeySet) else self._keys,
            algorithm=settings.token_algorithm,
            issuer=settings.token_issuer,
            audience=settings.token_audience,
            clock=clock,
        )
        self.verifier = LoopVerifier(verifier, self._keys)

    @property
    def ready(self) -> bool:
        return self._begun.is_set() and self._keys.loaded

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Poll for ended sessions and fetch keys, to the very end: requests are served while the process drains."""
        stop = threading.Event()
        poller = RevocationPoller(feed_of(self._issuer), self.revocations, stop)
        watching = threading.Thread(target=self._watch, args=(poller, stop), name="identity", daemon=True)
        watching.start()
        try:
            yield
        finally:
            stop.set()
            await asyncio.to_thread(watching.join, LAST_CALL)

    def _watch(self, poller: RevocationPoller, stop: threading.Event) -> None:
        # Whoever is told that the gateway is ready may write at once, so the first look comes before that.
        try:
            poller.poll_once()
        except Exception as error:  # noqa: BLE001  # Whatever it was, the poller goes on and the list's age tells.
            poller.error = error
        self._begun.set()
        polling = poller.start()
        while not stop.is_set():
            if isinstance(self._keys, KeySet):
                self._keys.load()
            stop.wait(LOOK_EVERY)
        polling.join()


def _keys(settings: Settings, issuer: ServiceClient) -> Keys:
    if settings.token_secret is not None:
        return SharedSecret(settings.token_secret)
    return KeySet(lambda: issuer.get(JWKS, dict[str, Any]))
