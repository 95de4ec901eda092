"""What can be seen of a request from outside: one line in the log, its metrics, its ids, and an answer in any case."""

import time
from http import HTTPMethod

from aiohttp import HttpVersion10, web
from aiohttp.typedefs import Handler

from service_chassis import correlation
from service_chassis.aio.answers import BadRequest, framework_refusal, refusal
from service_chassis.correlation import Correlation
from service_chassis.errors import ServiceError, Unavailable
from service_chassis.logs import Log
from service_chassis.metrics import Metrics

IDS = web.RequestKey("ids", Correlation)
ROUTE = web.RequestKey("route", str)
"""The template of the path, where a handler knows it better than the framework's router."""
METHODS = frozenset(HTTPMethod)
UNMATCHED = "unmatched"
CLIENT_LEFT = 499
"""What the log and the metrics call a request whose client did not wait for the answer."""


def ids_of(request: web.Request) -> Correlation:
    """Return the ids the request is answered under."""
    return request[IDS]


class Observation:
    """The outermost middleware, and the signal that gives every answer its correlation id."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        # A logger that is bound need not be made anew for each line.
        self._log: Log = log.bind()
        self._metrics = metrics

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer under the caller's ids; note what was answered, or that nobody waited for it."""
        headers = request.headers
        ids = correlation.from_headers(headers.get("X-Correlation-ID"), headers.get("traceparent"))
        request[IDS] = ids
        started = time.perf_counter()
        status = CLIENT_LEFT
        with correlation.correlated(ids):
            try:
                response = await self._answered(request, handler)
                status = response.status
                return response
            finally:
                self._note(request, status, time.perf_counter() - started)

    async def name_ids(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """Give an answer that is about to leave its correlation id."""
        ids = request.get(IDS)
        if ids is not None:
            response.headers["X-Correlation-ID"] = ids.correlation_id

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.version < HttpVersion10:
            # The parser takes a line without a version for HTTP/0.9, whose answers have no head.
            return refusal(BadRequest())
        try:
            return await handler(request)
        except ServiceError as error:
            self._log_trouble(error)
            return refusal(error)
        except web.HTTPException as error:
            return framework_refusal(error)
        except ConnectionError:
            # The client is gone; the framework knows what to do when there is nobody to answer.
            raise
        except Exception as error:  # noqa: BLE001  # Whatever it is, the caller gets an answer and the log the rest.
            self._log.error("request_failed", exc_info=error)
            return refusal(ServiceError())

    def _log_trouble(self, error: ServiceError) -> None:
        if isinstance(error, Unavailable) or error.status in {502, 504}:
            self._log.warning("request_unavailable", error=error.code, cause=str(error.__cause__ or error))
        elif error.status >= 500:
            self._log.error("request_failed", exc_info=error)

    def _note(self, request: web.Request, status: int, seconds: float) -> None:
        """Note an answer; anything a caller can make up stays out of labels and lines."""
        method = request.method if request.method in METHODS else "OTHER"
        route = request.get(ROUTE) or _template(request)
        self._metrics.answered(method, route, status, seconds)
        self._log.info("request", method=method, route=route, status=status, duration_ms=round(seconds * 1000, 1))


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    template = resource.canonical if resource else UNMATCHED
    return UNMATCHED if "{" in template else template
