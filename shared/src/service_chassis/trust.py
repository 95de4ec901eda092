"""What a service needs to judge callers: the keys user-service signs tokens with, and the sessions it has ended."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from service_chassis.breaker import Breaker, BreakerRules
from service_chassis.clients import Pool, ServiceClient
from service_chassis.clock import Clock
from service_chassis.revocation import LONGEST_FEED, RevocationList, RevocationPoller, feed_of
from service_chassis.runtime import Runtime
from service_chassis.tokens import KeySet, SharedSecret, TokenVerifier

PAUSE = timedelta(seconds=1)
"""Longest time user-service is left alone by what asks for keys and ended sessions, which must be known soon."""


@dataclass(frozen=True, slots=True)
class Trust:
    keys: KeySet | SharedSecret
    verifier: TokenVerifier
    revocations: RevocationList

    @classmethod
    def in_user_service(cls, url: str, runtime: Runtime, clock: Clock, stop: threading.Event) -> Self:
        """Return the trust in the user-service at this address, which is asked in a thread until `stop` is set."""
        feed_rules = runtime.breaker.at_most(PAUSE)
        owner = client_of(url, feed_rules)
        keys = (
            KeySet(lambda: owner.get("/.well-known/jwks.json", dict[str, Any]))
            if runtime.token_secret is None
            else SharedSecret(runtime.token_secret)
        )
        revocations = RevocationList(clock)
        breaker = Breaker("user-service revocations", feed_rules)
        feed = ServiceClient(url, breaker=breaker, transport=Pool(longest_body=LONGEST_FEED))
        RevocationPoller(feed_of(feed), revocations, stop).start()
        verifier = TokenVerifier(
            keys,
            algorithm=runtime.token_algorithm,
            issuer=runtime.token_issuer,
            audience=runtime.token_audience,
            clock=clock,
        )
        return cls(keys, verifier, revocations)

    def missing(self) -> str | None:
        """Return what keeps callers from being judged, as a check of readiness does."""
        return None if self.keys.load() else "No keys to verify tokens with."


def client_of(url: str, rules: BreakerRules, token: Callable[[], str] | None = None) -> ServiceClient:
    """Return a client of user-service."""
    return ServiceClient(url, breaker=Breaker("user-service", rules), token=token)
