"""Short questions of the gateway's own to the services: how they are, and what they offer."""

import asyncio
from typing import Any

import aiohttp
import msgspec

from service_chassis import correlation
from service_chassis.errors import ServiceError, Unavailable

LONGEST_ANSWER = 4 * 1_048_576


class NoAnswer(Unavailable):
    """The service does not answer."""


async def ask(
    session: aiohttp.ClientSession, url: str, within: float, *, body: Any = None
) -> tuple[int, dict[str, Any]]:
    """Return status and JSON object of an answer, to a POST where there is a body; raises NoAnswer."""
    method, data = ("GET", None) if body is None else ("POST", msgspec.json.encode(body))
    try:
        async with (
            asyncio.timeout(within),
            session.request(method, url, data=data, headers=_headers(), allow_redirects=False) as response,
        ):
            return response.status, await _object(response)
    except NoAnswer:
        raise
    except TimeoutError as error:
        raise NoAnswer("The service did not answer in time.") from error
    except (aiohttp.ClientError, ServiceError, OSError) as error:
        raise NoAnswer from error


async def _object(response: aiohttp.ClientResponse) -> dict[str, Any]:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > LONGEST_ANSWER:
            raise NoAnswer("The service answered with more than is accepted.")
    try:
        return msgspec.json.decode(bytes(body), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise NoAnswer("The service gave an answer that cannot be read.") from error


def _headers() -> dict[str, str]:
    ids = correlation.current()
    return {"Accept": "application/json"} | ({"X-Correlation-ID": ids.correlation_id} if ids else {})
