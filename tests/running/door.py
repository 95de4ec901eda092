"""The HTTP door of Steward as a client sees it, each request over a connection of its own."""

import http.client
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

PATIENCE = 30.0
ENVELOPE = {"success", "data", "error", "message", "meta"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> dict[str, Any]:
        parsed = json.loads(self.text)
        assert set(parsed) == ENVELOPE, self
        return dict(parsed)

    @property
    def data(self) -> Any:
        """Return what was asked for; fails when that was refused."""
        assert self.status < 300, self
        return self.body["data"]

    @property
    def meta(self) -> Any:
        return self.body["meta"]

    @property
    def error(self) -> str | None:
        code: str | None = self.body["error"]
        return code


@dataclass(frozen=True, slots=True)
class Door:
    """One address, and the token that is shown there."""

    url: str
    token: str | None = None

    def showing(self, token: str | None) -> "Door":
        return replace(self, token=token)

    def at(self, url: str) -> "Door":
        return replace(self, url=url)

    def get(self, path: str, **query: object) -> Answer:
        return self.send("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        """Post JSON; `x_correlation_id=` becomes the header X-Correlation-Id."""
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        return self.send("POST", path, None if body is None else json.dumps(body).encode(), named)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request exactly as given. Raises OSError or HTTPException when there is no whole answer."""
        parts = urlsplit(self.url)
        shown = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        typed = {"Content-Type": "application/json"} if body is not None else {}
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        try:
            with suppress(BrokenPipeError):
                # Who refuses a body may hang up before all of it is sent; the answer is there all the same.
                connection.request(method, path, body, {**shown, **typed, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()
