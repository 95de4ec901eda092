"""Services that do what a test tells them to, on real connections."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from gateway.testing.behaviours import Behaviour, echo, hang_reading
from gateway.testing.issuer import Issuer
from gateway.testing.loop import LoopThread
from service_chassis.aio import json_answer
from service_chassis.answers import failure, success


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as a service got it: names as they were on the wire, so that no spelling hides."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    connection: Any
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        """Return the header of exactly one name that a WSGI server would take for this one."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    @property
    def names(self) -> set[str]:
        """Return the names as WSGI and its kind see them."""
        return {name.lower().replace("_", "-").replace(".", "-") for name, _ in self.headers}


class StubService:
    """Listens on a free port; `behaves` says what it does with a request, `seen` what it has got."""

    def __init__(self, loop: LoopThread, port: int = 0) -> None:
        self._loop = loop
        self._port = port
        self.behaves: Behaviour = echo
        self.spec: dict[str, Any] | None = None
        self.health: tuple[int, str] = (200, "healthy")
        self.seen: list[Seen] = []
        self.left = threading.Event()
        """Set when somebody went away before the answer."""
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; after `stop` on the same port as before."""
        self._loop.run(self._start())

    def stop(self) -> None:
        self._loop.run(self._runner.cleanup())

    async def _start(self) -> None:
        app = web.Application(client_max_size=0)
        app.router.add_get("/api/v1/health", self._health)
        app.router.add_get("/openapi.json", self._openapi)
        self._add_routes(app)
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    def _add_routes(self, app: web.Application) -> None:
        """Add what this service answers by itself."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            body = b"" if self.behaves is hang_reading else await request.content.read()
            self._see(request, body)
            return await self.behaves(request)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise

    def _see(self, request: web.Request, body: bytes) -> None:
        headers = [(name.decode(), value.decode(errors="replace")) for name, value in request.raw_headers]
        peer = request.transport and request.transport.get_extra_info("peername")
        self.seen.append(Seen(request.method, request.raw_path, headers, peer, body))

    async def _health(self, _: web.Request) -> web.Response:
        status, word = self.health
        return json_answer(success({"status": word, "checks": {}}), status)

    async def _openapi(self, _: web.Request) -> web.Response:
        return json_answer(self.spec or {}, 200 if self.spec else 404)


class UserService(StubService):
    """The one that issues tokens; it counts how often its keys are asked for, and can be without them."""

    def __init__(self, loop: LoopThread, issuer: Issuer) -> None:
        self.issuer = issuer
        self.key_fetches = 0
        self.publishes_keys = True
        self.tells_ended = True
        self.opaque_tokens: dict[str, str] = {}
        """The access tokens that opaque ones are exchanged for."""
        self.exchanges = 0
        super().__init__(loop)

    def _add_routes(self, app: web.Application) -> None:
        app.router.add_get("/.well-known/jwks.json", self._jwks)
        app.router.add_get("/internal/revocations", self._feed)
        app.router.add_post("/internal/tokens/exchange", self._exchange)

    async def _jwks(self, _: web.Request) -> web.Response:
        self.key_fetches += 1
        return json_answer(self.issuer.jwks()) if self.publishes_keys else web.Response(status=500)

    async def _exchange(self, request: web.Request) -> web.Response:
        self.exchanges += 1
        access_token = self.opaque_tokens.get(msgspec.json.decode(await request.read())["token"])
        if access_token is None:
            return json_answer(failure("invalid_token", "This token is not valid."), 401)
        return json_answer({"access_token": access_token, "expires_in": 60, "token_type": "Bearer"})

    async def _feed(self, _: web.Request) -> web.Response:
        return json_answer(self.issuer.feed()) if self.tells_ended else web.Response(status=500)
