"""The gateway's own paths: for probes, for people who want to know what is up, and for those who write clients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gateway.health import PATH as HEALTH
from gateway.health import UNHEALTHY, Health
from gateway.identity import Identity
from gateway.openapi import Description
from gateway.proxies import ADDRESS, parsed
from gateway.routes import SAFE
from service_chassis.aio import Flow, MethodNotAllowed, json_answer, refusal
from service_chassis.answers import failure, success
from service_chassis.errors import NotFound, Unavailable
from service_chassis.settings import Network

START = {
    "status": "/status",
    "health": HEALTH,
    "openapi": "/openapi.json",
    "keys": "/.well-known/jwks.json",
    "sign_in": "POST /api/v1/auth/login",
    "register": "POST /api/v1/users",
}
"""What is where, for somebody who opens the bare address."""


FOR_EVERYBODY = ("service", "status", "timestamp")
"""What of the report is no help to somebody who means harm."""


class NotReady(Unavailable):
    """The gateway is not ready."""

    code = "not_ready"


@dataclass(frozen=True, slots=True)
class Sources:
    """What there is to tell, and to whom."""

    flow: Flow
    identity: Identity
    registry: CollectorRegistry
    health: Health
    description: Description
    operators: Sequence[Network]


class Operations:
    def __init__(self, sources: Sources) -> None:
        self._from = sources

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, each with and without a slash at its end."""
        handlers = {
            "/livez": self.livez,
            "/readyz": self.readyz,
            "/metrics": self.metrics,
            "/status": self.status,
            HEALTH: self.health,
            "/openapi.json": self.openapi,
        }
        paths = [(path + slash, handler) for path, handler in handlers.items() for slash in ("", "/")]
        gets = [web.get("/", self.start), *(web.get(path, handler) for path, handler in paths)]
        return [*gets, *(web.route("*", get.path, _get_only) for get in gets)]

    async def start(self, _: web.Request) -> web.Response:
        return json_answer(success({"name": "Steward", "see": START}))

    async def livez(self, _: web.Request) -> web.Response:
        """Answer at all; it depends on nothing else."""
        return json_answer(success({"service": "gateway", "status": "alive"}))

    async def readyz(self, _: web.Request) -> web.Response:
        """Say whether requests should be sent here; if not, why."""
        wrong = {}
        if self._from.flow.draining:
            wrong["draining"] = ["The gateway is about to end."]
        if not self._from.identity.ready:
            wrong["keys"] = ["There are no keys to verify tokens with."]
        if wrong:
            return refusal(NotReady(fields=wrong, retry_after=2))
        return json_answer(success({"service": "gateway", "status": "ready"}))

    async def metrics(self, request: web.Request) -> web.Response:
        if not self._is_operator(request):
            raise NotFound
        return web.Response(body=generate_latest(self._from.registry), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})

    async def status(self, request: web.Request) -> web.Response:
        """Tell how everything is, for people: an answer in any case."""
        return json_answer(success(await self._report(request)))

    async def health(self, request: web.Request) -> web.Response:
        """Tell the same, for monitors: 503 when what everything needs cannot serve."""
        report = await self._report(request)
        if report["status"] == UNHEALTHY:
            return json_answer(failure(UNHEALTHY, "Steward cannot serve.") | {"data": report}, 503)
        return json_answer(success(report))

    async def openapi(self, _: web.Request) -> web.Response:
        return json_answer(await self._from.description.spec())

    async def _report(self, request: web.Request) -> Mapping[str, Any]:
        report = await self._from.health.report()
        return report if self._is_operator(request) else {name: report[name] for name in FOR_EVERYBODY}

    def _is_operator(self, request: web.Request) -> bool:
        address = parsed(request[ADDRESS])
        return address is not None and any(address in network for network in self._from.operators)


async def _get_only(_: web.Request) -> web.Response:
    raise MethodNotAllowed(SAFE)
