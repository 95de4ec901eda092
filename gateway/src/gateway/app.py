"""The application: own paths first, everything else through the table to a service."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry

from gateway import headers
from gateway.access import Guard
from gateway.config import Settings
from gateway.connections import connections
from gateway.cors import Cors
from gateway.forwarding import Forwarder
from gateway.health import Health
from gateway.identity import Identity
from gateway.opaque import Exchange
from gateway.openapi import Description
from gateway.operations import Operations, Sources
from gateway.proxies import Proxies
from gateway.routes import USER
from gateway.routing import RouteTable, Target
from gateway.throttle import Throttle
from gateway.upstream import Upstream
from service_chassis.aio import ROUTE, SERVER, Flow, Observation
from service_chassis.metrics import Metrics

IDLE_CLIENT = 75.0
"""Seconds a client's connection may be idle, or its headers incomplete; balancers in front close theirs after 60."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of; it lives as long as the process and knows no event loop."""

    settings: Settings
    registry: CollectorRegistry
    metrics: Metrics
    observation: Observation
    flow: Flow
    identity: Identity
    upstreams: Mapping[str, Upstream]
    table: RouteTable


def make_app(parts: Parts) -> web.Application:
    """Return the application, for one event loop."""
    cors = Cors(parts.settings.cors_origins)
    throttle = Throttle(parts.settings.rate_limit, parts.settings.redis_url, parts.settings.breaker)
    parts.metrics.watch(throttle.breaker)
    proxies = Proxies(parts.settings.trusted_proxies)
    steps = (parts.observation, parts.flow, proxies, throttle, cors)
    app = web.Application(
        middlewares=[step.middleware for step in steps],
        handler_args={
            "access_log": None,
            "auto_decompress": False,
            "handler_cancellation": True,
            "keepalive_timeout": IDLE_CLIENT,
            "max_line_size": headers.LARGEST,
            "max_field_size": headers.LARGEST,
        },
    )
    signals = (parts.observation.name_ids, parts.flow.say_goodbye, cors.allow, _finish)
    app.on_response_prepare.extend(signals)
    app.cleanup_ctx.append(_Running(parts))
    return app


class _Running:
    """What lives as long as the loop: the pool of connections, the threads behind identity, and so the routes."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __call__(self, app: web.Application) -> AsyncIterator[None]:
        async with connections() as session, self._parts.identity.running():
            operations = _operations(self._parts, session)
            app.add_routes(operations.routes())
            edge = Edge(self._parts, session)
            app.router.add_route("*", "/{rest:.*}", edge.answer, expect_handler=_not_yet)
            yield


def _operations(parts: Parts, session: aiohttp.ClientSession) -> Operations:
    upstreams = tuple(parts.upstreams.values())
    health = Health(upstreams, session, parts.identity)
    description = Description(upstreams, session, parts.table)
    operators = parts.settings.operators
    return Operations(Sources(parts.flow, parts.identity, parts.registry, health, description, operators))


class Edge:
    """Everything that is not the gateway's own: find the route, let the caller pass, send the request on."""

    def __init__(self, parts: Parts, session: aiohttp.ClientSession) -> None:
        settings = parts.settings
        self._table = parts.table
        exchange = Exchange(session, settings.services[USER])
        self._guard = Guard(parts.identity.verifier, parts.identity.revocations, exchange)
        self._forwarder = Forwarder(parts.upstreams, session, settings)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers.check(request)
        target = Target.parse(request.raw_path)
        route = self._table.find(request.method, target)
        request[ROUTE] = route.path
        caller = await self._guard.admit(request, route)
        access_token = None if caller is None else caller.access_token
        response = await self._forwarder.forward(request, route, target, access_token)
        if route.ends_session and caller is not None and response.status < 300:
            self._guard.note_end(caller)
        return response


async def _not_yet(_: web.Request) -> None:
    """Leave a client that waits for `100 Continue` waiting until its body is wanted."""


async def _finish(_: web.BaseRequest, response: web.StreamResponse) -> None:
    response.headers[hdrs.SERVER] = SERVER
    response.headers["X-Content-Type-Options"] = "nosniff"
