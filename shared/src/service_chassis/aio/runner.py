"""Stopping without losing a request: say so first, finish what is under way, then close."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from service_chassis.aio import doors
from service_chassis.aio.protocol import Server

LOOK_EVERY = 0.05
LULL = 0.3
"""Seconds without any request after which nobody is expected to come; a connection may be open with none sent yet."""
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
        self.is_last: Callable[[], bool] = lambda: True
        """Whether no other process listens at the same doors when these are closed."""

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
        listeners = [listener for site in self.sites for listener in doors.listeners(site)]
        handles = [doors.second_handle(listener) for listener in listeners]
        await doors.let_in(listeners)
        for site in self.sites:
            await site.stop()
        is_last = self.is_last()
        for connection in [waiting for handle in handles for waiting in doors.last_in(handle, is_last=is_last)]:
            await asyncio.get_running_loop().connect_accepted_socket(server, connection)
        return bool(server.connections)

    async def _lull(self, closed_at: float) -> None:
        while time.monotonic() - max(self._flow.quiet_since, closed_at) < LULL:
            await asyncio.sleep(LOOK_EVERY)
            if self.server is None or not self.server.connections:
                return

    async def _make_server(self) -> web.Server:
        return Server.like(await super()._make_server())
