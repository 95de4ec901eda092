"""Sending one request over pooled HTTP connections and reading its whole answer by a deadline."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, ProtocolError

from service_chassis.errors import Unavailable

CONNECT_WITHIN = 1.0
PIECE = 65_536
SHORT = 0.001
"""The least a socket may wait; a timeout of zero would mean something else."""


class UpstreamUnavailable(Unavailable):
    """A service this needs does not answer."""

    code = "upstream_unavailable"


class ConnectionLost(Exception):
    """The connection failed before an answer began, so that a request that only reads may be repeated."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to send; `deadline` is the monotonic time by which the answer is complete."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    deadline: float


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


Transport = Callable[[Request], Answer]
"""Sends a request; raises ConnectionLost or UpstreamUnavailable."""


class Pool:
    """The transport over HTTP: pooled connections that any thread may use."""

    def __init__(self, *, connections: int = 16, longest_body: int = 1_048_576) -> None:
        self._pool = urllib3.PoolManager(maxsize=connections, retries=False)
        self._longest_body = longest_body

    def __call__(self, request: Request) -> Answer:
        """Send the request and read the whole answer before its deadline."""
        response = self._opened(request)
        try:
            return Answer(response.status, self._body(response, request.deadline))
        except (HTTPError, OSError) as error:
            raise UpstreamUnavailable("A service this needs broke off its answer.") from error
        finally:
            # Gives up a connection whose answer was not read to its end; one that was is back in the pool already.
            response.close()

    def _opened(self, request: Request) -> urllib3.BaseHTTPResponse:
        left = max(request.deadline - time.monotonic(), SHORT)
        try:
            return self._pool.request(
                request.method,
                request.url,
                body=request.body,
                headers=request.headers,
                timeout=urllib3.Timeout(connect=min(CONNECT_WITHIN, left), total=left),
                redirect=False,
                preload_content=False,
            )
        except (ConnectTimeoutError, ProtocolError) as error:
            raise ConnectionLost from error
        except HTTPError as error:
            raise UpstreamUnavailable from error

    def _body(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        body = bytearray()
        while piece := self._piece(response, deadline):
            body += piece
            if len(body) > self._longest_body:
                raise UpstreamUnavailable("A service this needs answered with more than is accepted.")
        return bytes(body)

    def _piece(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise UpstreamUnavailable("A service this needs took too long to answer.")
        # The socket's own timeout starts anew with every piece, so that a trickle would outlive the deadline.
        if response.connection is not None and (socket := getattr(response.connection, "sock", None)):
            socket.settimeout(max(left, SHORT))
        return response.read1(PIECE)
