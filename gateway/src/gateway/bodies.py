"""The body of a request on its way through: capped before and while it is read, held whole only where it is small."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from service_chassis.errors import Invalid, ServiceError, TooLarge

HELD = 65_536
"""Bodies up to this size are read before the service hears of the request: a slow client then holds no thread of the
service, and the request can be repeated."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BrokenBody(Invalid):
    """The body of the request cannot be read."""

    code = "broken_body"


class BodyTimeout(ServiceError):
    """The body of the request did not arrive in time."""

    status = 408
    code = "request_timeout"


class RequestBody:
    """One request's body; `fault` is what was wrong with it, in whichever task it was read."""

    def __init__(self, request: web.Request, limit: int) -> None:
        """Raise TooLarge if the request says so itself."""
        length = request.content_length
        if length is not None and length > limit:
            raise TooLarge
        self._request = request
        self._limit = limit
        self._started = False
        self._waiting = False
        self._held: bytes | None = None
        self._is_small = length is not None and length <= HELD
        self.fault: ServiceError | None = None

    @property
    def repeatable(self) -> bool:
        return not self._started or self._held is not None

    async def hold_if_small(self, deadline: float) -> None:
        """Read a small body whole; raises BodyTimeout, BrokenBody."""
        if not self._request.body_exists or not self._is_small:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                self._held = b"".join([piece async for piece in self._pieces()])
        if self._held is None:
            raise BodyTimeout

    def content(self) -> bytes | AsyncIterator[bytes] | None:
        """Return what is sent on: nothing, the body itself, or its pieces as they come in."""
        if not self._request.body_exists:
            return None
        return self._pieces() if self._held is None else self._held

    def blame(self) -> None:
        """Raise what the client is to blame for, if an exchange ended because of it."""
        if self.fault is not None:
            raise self.fault
        if self._waiting:
            raise BodyTimeout

    async def _pieces(self) -> AsyncIterator[bytes]:
        self._started = True
        await self._invite()
        size = 0
        while piece := await self._next_piece():
            size += len(piece)
            if size > self._limit:
                self.fault = TooLarge()
                raise self.fault
            yield piece

    async def _next_piece(self) -> bytes:
        self._waiting = True
        try:
            piece = await self._request.content.readany()
        except (HttpProcessingError, RequestPayloadError) as error:
            self.fault = BrokenBody()
            raise self.fault from error
        # Not reset when the wait is cut short, so that `blame` can tell who was waited for.
        self._waiting = False
        return piece

    async def _invite(self) -> None:
        """Tell a client that asked first that its body is wanted; until here it was not."""
        if self._request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            await self._request.writer.write(CONTINUE)
            self._request.writer.output_size = 0
