"""What ties a request to everything it causes: correlation id, causation id and W3C trace context.

Bound at the edges (HTTP request, message, job) and cleared there, so that a thread never leaks the ids of
its previous work.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from service_chassis.ids import uuid7

ACCEPTED_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}\Z")
ACCEPTED_TRACEPARENT = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")


@dataclass(frozen=True, slots=True)
class Correlation:
    """The ids of one piece of work; `causation_id` names the event or request that led to it."""

    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None


_current: ContextVar[Correlation | None] = ContextVar("steward_correlation", default=None)


def current() -> Correlation | None:
    """Return the ids of the work in hand, or None outside any."""
    return _current.get()


@contextmanager
def correlated(correlation: Correlation) -> Iterator[Correlation]:
    """Do the enclosed work under these ids."""
    token = _current.set(correlation)
    try:
        yield correlation
    finally:
        _current.reset(token)


def fresh() -> Correlation:
    """Start a new correlation, for work that nothing outside caused."""
    return Correlation(correlation_id=str(uuid7()), traceparent=next_traceparent(None))


def accepted(correlation_id: str | None) -> str | None:
    """Return an id that somebody outside gave, or None where it is none that may stand in logs and headers."""
    return correlation_id if correlation_id and ACCEPTED_ID.match(correlation_id) else None


def from_headers(correlation_id: str | None, traceparent: str | None) -> Correlation:
    """Take over the ids a caller sent where they are well formed, and make the missing ones."""
    return Correlation(
        correlation_id=accepted(correlation_id) or str(uuid7()), traceparent=next_traceparent(traceparent)
    )


def next_traceparent(received: str | None) -> str:
    """Continue a received trace with a new span, or start a trace."""
    span = secrets.token_hex(8)
    if received and ACCEPTED_TRACEPARENT.match(received):
        version, trace, _, flags = received.split("-")
        return f"{version}-{trace}-{span}-{flags}"
    return f"00-{secrets.token_hex(16)}-{span}-01"
