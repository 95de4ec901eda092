"""Connections to the services, and the ways in which they fail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from service_chassis.errors import ServiceError

CONNECT_WITHIN = 1.0
IDLE_CONNECTION = 5.0
"""Seconds a connection is kept for the next request: less than any service keeps it (10 in the embedded run, 30 in
production), or requests would now and then be sent into a connection that is just being closed."""


class UpstreamFailed(ServiceError):
    """A service did not answer as it should."""

    status = 502
    code = "upstream_unreachable"


class UpstreamUnreachable(UpstreamFailed):
    """The service cannot be reached."""


class UpstreamTimeout(UpstreamFailed):
    """The service did not answer in time."""

    status = 504
    code = "upstream_timeout"


class ConnectionFailed(UpstreamUnreachable):
    """The service cannot be reached."""


class ConnectTimeout(UpstreamTimeout):
    """The service cannot be reached in time."""


UNANSWERED = (ConnectionFailed, ConnectTimeout)
"""Failures before a single byte of an answer."""


@asynccontextmanager
async def connections() -> AsyncIterator[aiohttp.ClientSession]:
    """Open the pool through which everything goes to the services; no answer is followed, unpacked or remembered."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_CONNECTION)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_WITHIN),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        max_field_size=16_384,
        middlewares=(_plainly,),
    ) as session:
        yield session


async def _plainly(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Name failures before any answer in types of ours, or the library would repeat some requests by itself."""
    try:
        return await send(request)
    except aiohttp.ConnectionTimeoutError as error:
        raise ConnectTimeout from error
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionFailed from error
