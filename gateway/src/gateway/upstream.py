"""One service behind the gateway: a deadline, a breaker, and one more attempt where that can do no harm."""

import asyncio
import random
import time
from dataclasses import dataclass
from io import BytesIO

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from gateway.connections import UNANSWERED, UpstreamFailed, UpstreamTimeout, UpstreamUnreachable
from gateway.metrics import UpstreamMetrics
from gateway.retries import RetryBudget
from service_chassis.breaker import Breaker
from service_chassis.errors import Unavailable

PAUSE = 0.025
"""The longest pause before an attempt is repeated, in seconds."""
SHORT = 65_536
"""Answers up to this size are read whole before the client hears of them, so that a broken one is a clean error."""


TURN_WITHIN = 5.0
"""Seconds a request waits for its turn where as many as may be are under way to its service."""


class Busy(Unavailable):
    """The service has as many requests under way as it is given at a time."""

    code = "busy"


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it goes to a service; `deadline` is a time of the loop."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes | None
    deadline: float
    repeatable: bool


@dataclass(frozen=True, slots=True)
class Reply:
    """A service's answer: whole, or with its body still to come from `rest`."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes | None
    rest: aiohttp.ClientResponse


class Upstream:
    def __init__(self, name: str, origin: str, breaker: Breaker, metrics: UpstreamMetrics, most: int) -> None:
        """Stand for the service at `origin`, with `most` requests at a time; the breaker counts UpstreamFailed only."""
        self.name = name
        self.origin = origin
        self.breaker = breaker
        self._metrics = metrics
        self._retries = RetryBudget()
        self._turns = asyncio.Semaphore(most)

    async def exchange(self, session: aiohttp.ClientSession, call: Call) -> Reply:
        """Send a call and return the answer; raises UpstreamFailed, BreakerOpen, Busy."""
        await self._take_turn(call.deadline)
        try:
            return await self._attempt_twice(session, call)
        finally:
            self._turns.release()

    async def _take_turn(self, deadline: float) -> None:
        """Wait for a turn, which tells nothing of the service and therefore nothing to the breaker."""
        remaining = deadline - asyncio.get_running_loop().time()
        try:
            # Half of the time is left to the service, or what waited would fail in its name.
            async with asyncio.timeout(min(TURN_WITHIN, remaining / 2)):
                await self._turns.acquire()
        except TimeoutError as error:
            raise Busy(retry_after=1) from error

    async def _attempt_twice(self, session: aiohttp.ClientSession, call: Call) -> Reply:
        self._retries.earn()
        try:
            return await self._attempt(session, call)
        except UNANSWERED:
            if not (call.repeatable and self._retries.spend()):
                raise
        self._metrics.repeated(self.name)
        await asyncio.sleep(random.uniform(0, PAUSE))  # noqa: S311  # Nothing depends on nobody guessing it.
        return await self._attempt(session, call)

    async def _attempt(self, session: aiohttp.ClientSession, call: Call) -> Reply:
        started = time.perf_counter()
        with self.breaker.attempt() as attempt:
            try:
                async with asyncio.timeout_at(call.deadline):
                    reply = await self._reply(session, call)
            except (TimeoutError, aiohttp.ClientError, HttpProcessingError, ConnectionError, UpstreamFailed) as error:
                failure = _failure(error)
                self._metrics.exchanged(self.name, failure.code, time.perf_counter() - started)
                raise failure from error
            if says_it_failed(reply):
                attempt.failed()
        self._metrics.exchanged(self.name, f"{reply.status // 100}xx", time.perf_counter() - started)
        return reply

    async def _reply(self, session: aiohttp.ClientSession, call: Call) -> Reply:
        response = await session.request(
            call.method,
            URL(self.origin + call.target, encoded=True),
            headers=call.headers,
            data=_payload(call.body),
            allow_redirects=False,
        )
        try:
            length = response.content_length
            whole = call.method == "HEAD" or response.status in {204, 304} or (length is not None and length <= SHORT)
            body = await response.read() if whole else None
        except BaseException:
            response.close()
            raise
        return Reply(response.status, response.headers, body, response)


def _payload(body: bytes | None) -> bytes | BytesIO | None:
    """Return a body as the client sends it: a large one in pieces, so that the others get their turn."""
    return BytesIO(body) if body is not None and len(body) > SHORT else body


def _failure(error: Exception) -> UpstreamFailed:
    if isinstance(error, UpstreamFailed):
        return error
    return UpstreamTimeout() if isinstance(error, TimeoutError) else UpstreamUnreachable()


def says_it_failed(reply: Reply) -> bool:
    """Return whether an answer tells that the service is in trouble.

    A 500 does not: one caller's request may provoke it, and must not close the service to everybody else. A 503 that
    says when to come back is in control.
    """
    return reply.status in {502, 503, 504} and not (reply.status == 503 and "Retry-After" in reply.headers)
