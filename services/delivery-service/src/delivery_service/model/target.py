"""Where and how to send: a destination's settings as an attempt needs them, opened and ready."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from delivery_service.model.attempt import Request
from delivery_service.model.payload import QUERY_METHODS, with_query
from delivery_service.model.signing import Secrets, signed

AGENT = "Steward/1.0"
JSON = "application/json"


class Message(NamedTuple):
    """What is sent: the bytes as they came, and the id by which a receiver knows a repetition."""

    message_id: str
    payload: bytes
    attempt: int
    """Counted from 1."""


@dataclass(frozen=True, slots=True)
class Target:
    destination_id: UUID
    url: str
    method: str
    secrets: Secrets = field(repr=False)
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def request(self, message: Message, *, at: datetime) -> Request:
        """Return the request of one attempt, signed for this instant.

        What is signed is the body, and where there is none the query as it stands in the request.
        """
        has_body = self.method not in QUERY_METHODS
        url = self.url if has_body else with_query(self.url, message.payload)
        content = message.payload.decode() if has_body else urlsplit(url).query
        return Request(
            self.method,
            url,
            self._headers(message, has_body=has_body)
            | signed(message.message_id, content, self.secrets.signing(at), at=at),
            message.payload if has_body else None,
            self.timeout,
        )

    def _headers(self, message: Message, *, has_body: bool) -> dict[str, str]:
        named = {name.lower(): value for name, value in self.headers.items()}
        if has_body:
            named.setdefault("content-type", JSON)
        return named | {"user-agent": AGENT, "webhook-attempt": str(message.attempt)}
