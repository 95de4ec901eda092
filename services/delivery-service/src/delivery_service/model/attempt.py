"""One attempt to deliver: what was asked, what came of it, and how long each part took."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ErrorClass(StrEnum):
    """Why an attempt failed, from the sender's point of view."""

    DNS_ERROR = "dns_error"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    TLS_ERROR = "tls_error"
    TIMEOUT = "timeout"
    HTTP_ERROR = "http_error"
    """A status of 400 or above."""
    INVALID_ANSWER = "invalid_answer"
    """What came back is not HTTP."""
    BLOCKED_IP = "blocked_ip"
    """The address or URL is one that nothing is sent to."""
    REDIRECT = "redirect"
    CANCELED = "canceled"
    NOT_SENT = "not_sent"
    """No request can be made of this payload and these settings."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to send."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: float
    """Seconds in all, the answer's body included."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds from the beginning of the attempt, but for `connect`: how long name, connection and TLS took."""

    connect: float = 0.0
    """Zero where a connection was there already."""
    first_byte: float | None = None
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended."""

    status: int | None
    error: ErrorClass | None
    detail: str = ""
    """What exactly went wrong, in words."""
    answer: str = ""
    """The beginning of the answer's body."""
    retry_after: str = ""
    """The header of this name, as it came."""
    timings: Timings = Timings()

    @property
    def succeeded(self) -> bool:
        return self.error is None


def error_of(status: int) -> ErrorClass | None:
    """Return what a status means: only 2xx is a success, and redirects are not followed."""
    if 200 <= status < 300:
        return None
    return ErrorClass.REDIRECT if 300 <= status < 400 else ErrorClass.HTTP_ERROR
