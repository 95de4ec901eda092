"""One limit per address for everything, before anybody is asked who they are."""

import asyncio
import math
from datetime import timedelta
from ipaddress import ip_network

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.proxies import ADDRESS
from service_chassis.aio import refusal
from service_chassis.breaker import Breaker, BreakerRules
from service_chassis.errors import TooManyRequests
from service_chassis.limits import Allowed, Limit, Limiter

PER = timedelta(seconds=1)
IPV6_PREFIX = 64
PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class Throttle:
    """The middleware; probes pass it, or a flood would make the gateway look dead."""

    def __init__(self, amount: int, redis_url: str | None, rules: BreakerRules) -> None:
        """Count in Redis for all replicas, or in this process; an amount of 0 is no limit."""
        self._limit = Limit(amount, PER) if amount else None
        self._limiter = Limiter.from_url(redis_url, rules)
        self._waits = redis_url is not None
        self._policy = f'"address";q={amount};w={PER.total_seconds():.0f}'

    @property
    def breaker(self) -> Breaker:
        """The breaker in front of the windows that are shared."""
        return self._limiter.breaker

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the request pass with the state of its window on the answer, or refuse it."""
        if self._limit is None or request.path.rstrip("/") in PROBES:
            return await handler(request)
        try:
            allowed = await self._hit(self._limit, counted_as(request[ADDRESS]))
        except TooManyRequests as refused:
            return self._told(refusal(refused), Allowed(0, refused.retry_after or 0))
        response = await handler(request)
        return response if response.prepared else self._told(response, allowed)

    async def _hit(self, limit: Limit, address: str) -> Allowed:
        if self._waits:
            return await asyncio.to_thread(self._limiter.hit, limit, "gateway", address)
        return self._limiter.hit(limit, "gateway", address)

    def _told(self, response: web.StreamResponse, allowed: Allowed) -> web.StreamResponse:
        """Add the headers of the IETF's RateLimit draft; the time is how many seconds are left, never a date."""
        response.headers["RateLimit-Policy"] = self._policy
        response.headers["RateLimit"] = f'"address";r={allowed.remaining};t={math.ceil(allowed.reset_after)}'
        return response


def counted_as(address: str) -> str:
    """Return what an address is counted as: of IPv6 the /64 that one customer gets, whole."""
    if ":" not in address:
        return address
    return str(ip_network((address.partition("%")[0], IPV6_PREFIX), strict=False))
