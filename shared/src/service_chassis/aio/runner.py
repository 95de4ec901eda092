"""Stopping without losing a request: say so first, finish what is under way, then close."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Self

from aiohttp import hdrs, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from service_chassis import correlation
from service_chassis.aio.answers import BadRequest, HeadersTooLarge, refusal
from service_chassis.errors import ServiceError

LOOK_EVERY = 0.05
LULL = 0.3
"""Seconds without any request after which nobody is expected to come; a connection may be open with none sent yet."""
TURNS = 3
"""Turns of the loop from an accepted socket to a connection that is known."""
LAST_CALL = 1.0
"""Seconds the framework gives connections that are still busy after that."""


class Flow:
    """How many requests are under way, and whether the process is about to end, as the stop event says."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._under_way = 0
        self._last_ended = time.monotonic()

    @property
    def draining(self) -> bool:
        return self._stop.is_set()

    @property
    def quiet_since(self) -> float:
        """Return the monotonic time at which the last request ended; now, while one is under way."""
        return time.monotonic() if self._under_way else self._last_ended

    def drain(self) -> None:
        self._stop.set()

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count the request for as long as it is under way."""
        self._under_way += 1
        try:
            return await handler(request)
        finally:
            self._under_way -= 1
            self._last_ended = time.monotonic()

    async def say_goodbye(self, _: web.BaseRequest, response: web.StreamResponse) -> None:
        """Tell a client whose answer is about to leave that the connection ends with it."""
        if self.draining:
            response.headers[hdrs.CONNECTION] = "close"
            response.force_close()


class DrainingRunner(web.AppRunner):
    """Serves an application; `cleanup` goes on accepting for `grace`, so that balancers notice, and then drains."""

    def __init__(self, app: web.Application, flow: Flow, *, grace: timedelta, within: timedelta) -> None:
        """Let requests under way take `within` to finish after the grace."""
        super().__init__(app, access_log=None, shutdown_timeout=LAST_CALL)
        self._flow = flow
        self._grace = grace.total_seconds()
        self._within = within.total_seconds()

    async def cleanup(self) -> None:
        if self.server is not None:
            await self._drain()
        await super().cleanup()

    async def _drain(self) -> None:
        self._flow.drain()
        await asyncio.sleep(self._grace)
        if not await self._close_doors():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._within):
                await self._lull(time.monotonic())

    async def _close_doors(self) -> bool:
        """Stop listening, and say whether anybody is inside, those included who had knocked already."""
        server = self.server
        if server is None:
            return False
        listeners = [listener for site in self.sites for listener in _listeners(site)]
        doors = [_second_handle(listener) for listener in listeners]
        await _let_in(listeners)
        for site in self.sites:
            await site.stop()
        for connection in [waiting for door in doors for waiting in _last_in(door)]:
            await asyncio.get_running_loop().connect_accepted_socket(server, connection)
        return bool(server.connections)

    async def _lull(self, closed_at: float) -> None:
        while time.monotonic() - max(self._flow.quiet_since, closed_at) < LULL:
            await asyncio.sleep(LOOK_EVERY)
            if self.server is None or not self.server.connections:
                return

    async def _make_server(self) -> web.Server:
        return _Server.like(await super()._make_server())


def _listeners(site: web.BaseSite) -> Iterable[Any]:
    # The framework tells its listeners nowhere else; the loop's own type of sockets has little but a number.
    return getattr(site._server, "sockets", None) or ()  # noqa: SLF001


async def _let_in(listeners: Iterable[Any]) -> None:
    """Accept no more, and give accepted connections their turns; asyncio drops one that is half made at the end."""
    for listener in listeners:
        # Other loops than asyncio's do not listen by a reader and make connections whole at once.
        with suppress(NotImplementedError):
            asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(TURNS):
        await asyncio.sleep(0)


def _second_handle(listener: Any) -> socket.socket:
    """Return another handle of a listener: who waits to be accepted is reset when the last one is closed."""
    return socket.socket(fileno=os.dup(listener.fileno()))


def _last_in(door: socket.socket) -> list[socket.socket]:
    """Accept everybody who is waiting, and close the door in the same breath."""
    waiting = []
    with door, suppress(BlockingIOError):
        door.setblocking(False)
        while True:
            connection, _ = door.accept()
            connection.setblocking(False)
            waiting.append(connection)
    return waiting


class _Server(web.Server):
    """Speaks to connections through our protocol class, for which the framework has no setting."""

    @classmethod
    def like(cls, server: web.Server) -> Self:
        made = cls.__new__(cls)
        vars(made).update(vars(server))
        return made

    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(RequestHandler):
    """Answers what cannot be parsed in the same form as everything else, without repeating any of it."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        if status >= 500:
            self.log_exception("Error handling a request", exc_info=exc)
        response = refusal(_meaning(status, exc))
        response.headers["X-Correlation-ID"] = correlation.fresh().correlation_id
        response.headers[hdrs.CONNECTION] = "close"
        response.force_close()
        return response


def _meaning(status: int, error: BaseException | None) -> ServiceError:
    if status >= 500:
        return ServiceError()
    return HeadersTooLarge() if isinstance(error, LineTooLong) else BadRequest()
