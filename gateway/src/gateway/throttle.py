"""One limit per address for everything, before anybody is asked who they are."""

import asyncio
import math
from datetime import timedelta

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.headers import address
from service_chassis.aio import refusal
from service_chassis.errors import TooManyRequests
from service_chassis.limits import Allowed, Limit, Limiter

PER = timedelta(seconds=1)


class Throttle:
    """The middleware; it is not installed where there is no limit."""

    def __init__(self, amount: int, redis_url: str | None) -> None:
        """Count in Redis for all replicas, or in this process."""
        self._limit = Limit(amount, PER)
        self._limiter = Limiter.from_url(redis_url)
        self._waits = redis_url is not None
        self._policy = f'"address";q={amount};w={PER.total_seconds():.0f}'

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let the request pass with the state of its window on the answer, or refuse it."""
        try:
            allowed = await self._hit(address(request))
        except TooManyRequests as refused:
            response = refusal(refused)
            self._tell(response, Allowed(0, refused.retry_after or 0))
            return response
        response = await handler(request)
        if not response.prepared:
            self._tell(response, allowed)
        return response

    async def _hit(self, address: str) -> Allowed:
        if self._waits:
            return await asyncio.to_thread(self._limiter.hit, self._limit, "gateway", address)
        return self._limiter.hit(self._limit, "gateway", address)

    def _tell(self, response: web.StreamResponse, allowed: Allowed) -> None:
        """Add the headers of the IETF's RateLimit draft; the time is how many seconds are left, never a date."""
        response.headers["RateLimit-Policy"] = self._policy
        response.headers["RateLimit"] = f'"address";r={allowed.remaining};t={math.ceil(allowed.reset_after)}'
