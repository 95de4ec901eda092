"""A client that sends what it is given and hides nothing of what comes back."""

import http.client
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

PATIENCE = 20


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str | None:
        """Return the code of the error; fails where the answer is not in the envelope."""
        envelope = self.json
        assert set(envelope) == {"success", "data", "error", "message", "meta"}, envelope
        assert envelope["success"] is (envelope["error"] is None)
        error: str | None = envelope["error"]
        return error


class Client:
    """Opens a connection for each request, except where a test keeps one."""

    def __init__(self, port: int) -> None:
        self._port = port

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and return the whole answer."""
        with_token = {"Authorization": f"Bearer {token}"} if token else {}
        connection = self.connection()
        try:
            connection.request(method, path, body, {**with_token, **(headers or {})})
            return read(connection)
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Answer:
        return self.request("POST", path, **options)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)

    def raw(self, request: bytes) -> Answer:
        """Send bytes as they are and return the first answer."""
        with self.socket() as connection:
            connection.sendall(request)
            return first_answer(connection)


def read(connection: http.client.HTTPConnection) -> Answer:
    """Return the answer to the request sent last."""
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def first_answer(connection: socket.socket) -> Answer:
    """Return the next answer on a socket."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return Answer(response.status, response.headers, response.read())
