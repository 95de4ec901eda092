"""A request on its way to a service and the answer on its way back."""

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict

from gateway import headers
from gateway.bodies import BodyLimits, read_whole
from gateway.config import Settings
from gateway.connections import UpstreamUnreachable
from gateway.routes import Route
from gateway.routing import Target
from gateway.upstream import Call, Reply, Upstream
from service_chassis.aio import ids_of
from service_chassis.errors import Unavailable

REPEATABLE = frozenset({"DELETE", "GET", "HEAD", "PUT"})
KEYS = ("Idempotency-Key", "X-Request-ID")


class ServiceNotConfigured(Unavailable):
    """The service this belongs to is not part of this installation."""

    code = "service_not_configured"


class Forwarder:
    def __init__(self, upstreams: Mapping[str, Upstream], session: aiohttp.ClientSession, settings: Settings) -> None:
        """Use the deadline and the limit of bodies in `settings` where a route has none of its own."""
        self._upstreams = upstreams
        self._session = session
        self._settings = settings

    async def forward(
        self, request: web.Request, route: Route, target: Target, access_token: str | None
    ) -> web.StreamResponse:
        """Return the service's answer; raises what kept it from coming."""
        upstream = self._upstream(route)
        settings = self._settings
        deadline = asyncio.get_running_loop().time() + (route.deadline or settings.deadline).total_seconds()
        size = min(route.body_limit or settings.body_limit, settings.body_limit)
        body = await read_whole(request, BodyLimits(size, settings.body_within.total_seconds(), deadline))
        call = self._call(request, route, target, body, deadline)
        if access_token is not None:
            call.headers[hdrs.AUTHORIZATION] = f"Bearer {access_token}"
        reply = await upstream.exchange(self._session, call)
        if reply.body is not None:
            return web.Response(status=reply.status, headers=headers.passed_out(reply.headers), body=reply.body)
        return await _stream(request, reply, deadline)

    def _call(self, request: web.Request, route: Route, target: Target, body: bytes | None, deadline: float) -> Call:
        passed = headers.passed_in(request.headers)
        passed.update(headers.origin(request, ids_of(request), self._settings.gateway_secret))
        remaining = deadline - asyncio.get_running_loop().time()
        passed["X-Request-Deadline-Ms"] = str(max(0, int(remaining * 1000)))
        return Call(request.method, str(target), passed, body, deadline, _is_repeatable(request.method, route, passed))

    def _upstream(self, route: Route) -> Upstream:
        upstream = self._upstreams.get(route.service)
        if upstream is None:
            raise ServiceNotConfigured
        return upstream


def _is_repeatable(method: str, route: Route, passed: CIMultiDict[str]) -> bool:
    return method in REPEATABLE or (route.takes_key and any(name in passed for name in KEYS))


async def _stream(request: web.Request, reply: Reply, deadline: float) -> web.StreamResponse:
    """Pass a body on as it comes; where it breaks off, so does the answer, so that nobody takes it for whole."""
    response = web.StreamResponse(status=reply.status, headers=headers.passed_out(reply.headers))
    try:
        async with asyncio.timeout_at(deadline):
            await response.prepare(request)
            async for piece in reply.rest.content.iter_any():
                await response.write(piece)
            await response.write_eof()
    except (TimeoutError, aiohttp.ClientPayloadError) as error:
        if request.transport is not None:
            request.transport.abort()
        raise UpstreamUnreachable("The service broke off its answer.") from error
    finally:
        reply.rest.close()
    return response
