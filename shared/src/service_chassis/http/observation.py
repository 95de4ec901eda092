"""What can be seen of a request from outside: its metrics, its correlation id, and a line in the log.

The line is at DEBUG unless the service failed: the gateway writes one for each request already.
"""

import time
from http import HTTPMethod

from flask import Response, g, request

from service_chassis import correlation
from service_chassis.http.kit import kit

METHODS = frozenset(HTTPMethod)
UNMATCHED = "unmatched"


def begin() -> None:
    g.started = time.perf_counter()


def finish(response: Response) -> Response:
    """Note what was answered; anything a caller can make up stays out of labels and lines."""
    seconds = time.perf_counter() - g.started
    method = request.method if request.method in METHODS else "OTHER"
    route = request.url_rule.rule if request.url_rule else UNMATCHED
    kit().metrics.answered(method, route, response.status_code, seconds)
    duration_ms = round(seconds * 1000, 1)
    write = kit().log.debug if response.status_code < 500 else kit().log.info
    write("request", method=method, route=route, status=response.status_code, duration_ms=duration_ms)
    # Answers hold tokens and people's data; what may be kept says so itself.
    response.headers.setdefault("Cache-Control", "no-store")
    ids = correlation.current()
    if ids is not None:
        response.headers["X-Correlation-ID"] = ids.correlation_id
    return response
