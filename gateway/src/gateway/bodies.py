"""The body of a request: read whole before any service hears of the request, within limits of size and time."""

import asyncio
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

from service_chassis.errors import Invalid, ServiceError, TooLarge

SLOWEST_BYTES_PER_SECOND = 4_096
"""Beyond the time every body gets, a body gets time for what has come, so that nobody drips one for ever."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BrokenBody(Invalid):
    """The body of the request cannot be read."""

    code = "broken_body"


class BodyTimeout(ServiceError):
    """The body of the request did not arrive in time."""

    status = 408
    code = "request_timeout"


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The most bytes, the seconds every body gets, and the time of the loop at which any body is too late."""

    size: int
    seconds: float
    deadline: float


async def read_whole(request: web.Request, limits: BodyLimits) -> bytes | None:
    """Return the body, or None where there is none; raises TooLarge, BodyTimeout, BrokenBody.

    However a client sends it, a slow one holds no thread of a service, and the request can be repeated.
    """
    if not request.body_exists:
        return None
    if (request.content_length or 0) > limits.size:
        raise TooLarge
    await _invite(request)
    started = asyncio.get_running_loop().time()
    body = bytearray()
    while True:
        due = started + limits.seconds + len(body) / SLOWEST_BYTES_PER_SECOND
        piece = await _next_piece(request, min(due, limits.deadline))
        if not piece:
            return bytes(body)
        body += piece
        if len(body) > limits.size:
            raise TooLarge


async def _next_piece(request: web.Request, due: float) -> bytes:
    try:
        async with asyncio.timeout_at(due):
            return await request.content.readany()
    except TimeoutError as error:
        raise BodyTimeout from error
    except (HttpProcessingError, RequestPayloadError) as error:
        raise BrokenBody from error


async def _invite(request: web.Request) -> None:
    """Tell a client that asked first that its body is wanted; until here it was not."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(CONTINUE)
        request.writer.output_size = 0
