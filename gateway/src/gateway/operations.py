"""The gateway's own paths: for probes, for people who want to know what is up, and for those who write clients."""

from aiohttp import hdrs, web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gateway.health import PATH as HEALTH
from gateway.health import UNHEALTHY, Health
from gateway.identity import Identity
from gateway.openapi import Description
from gateway.routes import SAFE
from service_chassis.aio import Flow, MethodNotAllowed, json_answer, refusal
from service_chassis.answers import failure, success
from service_chassis.errors import Unavailable

START = {
    "status": "/status",
    "health": HEALTH,
    "openapi": "/openapi.json",
    "keys": "/.well-known/jwks.json",
    "sign_in": "POST /api/v1/auth/login",
    "register": "POST /api/v1/users",
}
"""What is where, for somebody who opens the bare address."""


class NotReady(Unavailable):
    """The gateway is not ready."""

    code = "not_ready"


class Operations:
    def __init__(
        self, flow: Flow, identity: Identity, registry: CollectorRegistry, health: Health, description: Description
    ) -> None:
        self._flow = flow
        self._identity = identity
        self._registry = registry
        self._health = health
        self._description = description

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
        if self._flow.draining:
            wrong["draining"] = ["The gateway is about to end."]
        if not self._identity.ready:
            wrong["keys"] = ["There are no keys to verify tokens with."]
        if wrong:
            return refusal(NotReady(fields=wrong, retry_after=2))
        return json_answer(success({"service": "gateway", "status": "ready"}))

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})

    async def status(self, _: web.Request) -> web.Response:
        """Tell how everything is, for people: an answer in any case."""
        return json_answer(success(await self._health.report()))

    async def health(self, _: web.Request) -> web.Response:
        """Tell the same, for monitors: 503 when what everything needs cannot serve."""
        report = await self._health.report()
        if report["status"] == UNHEALTHY:
            return json_answer(failure(UNHEALTHY, "Steward cannot serve.") | {"data": report}, 503)
        return json_answer(success(report))

    async def openapi(self, _: web.Request) -> web.Response:
        return json_answer(await self._description.spec())


async def _get_only(_: web.Request) -> web.Response:
    raise MethodNotAllowed(SAFE)
