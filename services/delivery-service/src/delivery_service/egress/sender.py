"""Sending one request to a destination and saying what came of it, within one deadline."""

import asyncio
import ssl
import time
from types import SimpleNamespace
from typing import Any, Self

import aiohttp
from aiohttp import ClientSession, DummyCookieJar, TraceConfig
from aiohttp.abc import AbstractResolver
from yarl import URL

from delivery_service.egress.answer import read_beginning
from delivery_service.egress.guard import AddressBlocked, guarded_connector
from delivery_service.egress.rules import EgressRules
from delivery_service.model.attempt import ErrorClass, Request, Result, Timings, error_of
from delivery_service.model.errors import UrlRefused

NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers the library would add by itself."""
CLOSED = (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError)
DETAIL = 500
"""Characters kept of what went wrong."""


class _Course:
    """How far a request has come."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.connecting = 0.0
        self.connect = 0.0
        self.reused = False
        self.first_byte: float | None = None

    @property
    def timings(self) -> Timings:
        return Timings(self.connect, self.first_byte, self.elapsed)

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.began


class Sender:
    """Sends requests over connections that are kept for the next one; lives in the event loop that enters it."""

    def __init__(self, rules: EgressRules, *, lookup: AbstractResolver | None = None) -> None:
        self._rules = rules
        self._lookup = lookup
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = ClientSession(
            connector=guarded_connector(self._rules, self._lookup),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=NOT_ADDED,
            timeout=aiohttp.ClientTimeout(total=None),
            trace_configs=[_tracing()],
        )
        # It would repeat what has failed on a connection just opened, too, if the method is idempotent.
        self._session._retry_connection = False  # noqa: SLF001  # The library has no other switch for it.
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, request: Request) -> Result:
        """Send a request and return how it ended; raises only when the task is cancelled."""
        course = _Course()
        deadline = asyncio.timeout(request.timeout)
        try:
            async with deadline:
                return await self._sent(request, self._url(request.url), course)
        except TimeoutError as error:
            if deadline.expired():
                return _failed(ErrorClass.TIMEOUT, f"No whole answer within {request.timeout:g} s.", course)
            return _failed(ErrorClass.TIMEOUT, error, course)
        except UrlRefused as refusal:
            return _failed(ErrorClass.BLOCKED_IP, refusal.message, course)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failed(_class_of(error), error, course)

    def _url(self, url: str) -> URL:
        """Return a URL that is sent as it is written. Raises UrlRefused."""
        checked, written = self._rules.check(url), URL(url, encoded=True)
        if checked.origin() != written.origin():
            raise UrlRefused("The host of this URL is not written as it is resolved.")
        return written

    async def _sent(self, request: Request, url: URL, course: _Course) -> Result:
        while True:
            try:
                response = await self._open(request, url, course)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # The receiver gave up a kept connection while the request was on its way: it has not been looked at.
                if course.reused and isinstance(error, CLOSED):
                    continue
                raise
            course.first_byte = course.elapsed
            async with response:
                answer = await read_beginning(response)
                return Result(
                    response.status,
                    error_of(response.status),
                    answer=answer,
                    retry_after=response.headers.get("Retry-After", "")[:100],
                    timings=course.timings,
                )

    async def _open(self, request: Request, url: URL, course: _Course) -> aiohttp.ClientResponse:
        assert self._session is not None, "Enter the sender first."  # noqa: S101  # A mistake of the caller.
        return await self._session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            trace_request_ctx=course,
        )


def _failed(error: ErrorClass, detail: object, course: _Course) -> Result:
    return Result(None, error, detail=str(detail)[:DETAIL], timings=course.timings)


def _class_of(error: BaseException) -> ErrorClass:
    cause = getattr(error, "os_error", None) or error
    classes: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], ErrorClass], ...] = (
        (AddressBlocked, ErrorClass.BLOCKED_IP),
        ((ssl.SSLError, ssl.CertificateError), ErrorClass.TLS_ERROR),
        (TimeoutError, ErrorClass.TIMEOUT),
    )
    for kind, meaning in classes:
        if isinstance(cause, kind):
            return meaning
    if isinstance(error, aiohttp.ClientSSLError):
        return ErrorClass.TLS_ERROR
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ErrorClass.DNS_ERROR
    if isinstance(error, aiohttp.ClientConnectorError):
        return ErrorClass.CONNECTION_REFUSED
    if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
        return ErrorClass.CONNECTION_RESET
    return ErrorClass.INVALID_ANSWER


def _tracing() -> TraceConfig:
    """Note in the course of each request when it got its connection, and whether that was there before."""
    tracing = TraceConfig()

    async def connecting(_: ClientSession, context: SimpleNamespace, __: Any) -> None:
        course: _Course = context.trace_request_ctx
        course.reused, course.connecting = False, course.elapsed

    async def connected(_: ClientSession, context: SimpleNamespace, __: Any) -> None:
        course: _Course = context.trace_request_ctx
        course.connect = course.elapsed - course.connecting

    async def reused(_: ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.reused = True

    tracing.on_connection_create_start.append(connecting)
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(reused)
    return tracing
