"""JSON calls to one other service: one deadline, a breaker, and the ids of the work in hand passed on."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec

from service_chassis import correlation
from service_chassis.breaker import Breaker
from service_chassis.clients.transport import Answer, ConnectionLost, Pool, Request, Transport, UpstreamUnavailable
from service_chassis.errors import ServiceError
from service_chassis.retry import Backoff, retrying

ONCE_MORE = Backoff(first=timedelta(milliseconds=25), factor=1.0, jitter=1.0, attempts=2)

T = TypeVar("T")


class UpstreamRefused(ServiceError):
    """A service this needs refused the request."""

    status = 502
    code = "upstream_refused"

    def __init__(self, service: str, status: int, code: str | None) -> None:
        """Keep the other side's status and error code; what to make of them is the caller's."""
        super().__init__(f"{service} refused the request with {status} ({code or 'no code'}).")
        self.upstream_status = status
        self.upstream_code = code


class Data(msgspec.Struct, Generic[T]):
    """The envelope of public answers, reduced to what a caller wants of it."""

    data: T


class _Refusal(msgspec.Struct):
    error: str | None = None


class ServiceClient:
    """Calls one other service. The breaker's name is the service's."""

    def __init__(
        self,
        base_url: str,
        *,
        breaker: Breaker,
        token: Callable[[], str] | None = None,
        within: timedelta = timedelta(seconds=5),
        transport: Transport | None = None,
    ) -> None:
        """Send `token()` as bearer token; give up a call, its repetition included, after `within`."""
        self._base_url = base_url.rstrip("/")
        self.breaker = breaker
        self._token = token
        self._within = within
        self._transport = transport or Pool()

    def get(self, path: str, answer: type[T], query: Mapping[str, str] | None = None) -> T:
        """Return what is at the path, read as `answer`."""
        url = f"{path}?{urlencode(query)}" if query else path
        return self._call("GET", url, None, answer, self._repeated)

    def post(self, path: str, body: Any, answer: type[T]) -> T:
        """Post a body as JSON and return the answer, read as `answer`; never repeated."""
        return self._call("POST", path, msgspec.json.encode(body), answer, self._transport)

    def ask(self, path: str, body: Any, answer: type[T]) -> T:
        """Post a question, which changes nothing, and return the answer; repeated like `get`."""
        return self._call("POST", path, msgspec.json.encode(body), answer, self._repeated)

    def _call(self, method: str, path: str, body: bytes | None, answer: type[T], send: Transport) -> T:
        # The token comes first: getting one may be a call of its own, which must not hold this one's probe.
        headers = self._headers(body)
        deadline = time.monotonic() + self._within.total_seconds()
        with self.breaker.attempt():
            got = self._exchange(Request(method, self._base_url + path, headers, body, deadline), send)
        if got.status >= 300:
            raise UpstreamRefused(self.breaker.name, got.status, _code(got.body))
        try:
            return msgspec.json.decode(got.body, type=answer)
        except msgspec.MsgspecError as error:
            raise UpstreamUnavailable(f"{self.breaker.name} gave an answer that cannot be read.") from error

    def _exchange(self, request: Request, send: Transport) -> Answer:
        try:
            answer = send(request)
        except ConnectionLost as error:
            raise UpstreamUnavailable(f"{self.breaker.name} does not answer.") from error
        if answer.status >= 500:
            raise UpstreamUnavailable(f"{self.breaker.name} answered {answer.status}.")
        return answer

    def _repeated(self, request: Request) -> Answer:
        return retrying(lambda: self._transport(request), on=ConnectionLost, backoff=ONCE_MORE, within=self._within)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token()}"
        ids = correlation.current()
        if ids is not None:
            headers["X-Correlation-ID"] = ids.correlation_id
            if ids.traceparent:
                headers["traceparent"] = ids.traceparent
        return headers


def _code(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Refusal).error
    except msgspec.MsgspecError:
        return None
