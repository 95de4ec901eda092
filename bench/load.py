"""Requests as fast as a few kept connections carry them, with as little work on this side as possible."""

import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

PATIENCE = 30.0
RESTED = 10.0
"""Seconds of rest after which a connection is not used again."""


class Connection:
    """One connection that is kept; it reads answers that say how long they are."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open()

    def close(self) -> None:
        self._socket.close()

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Send JSON and return status and JSON of the answer."""
        content = json.dumps(body).encode()
        return self._exchange(_head("POST", path, {"Content-Type": "application/json", **headers}, content) + content)

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        return self._exchange(_head("GET", path, headers, b""))

    def _open(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._used_at = time.monotonic()

    def _exchange(self, request: bytes) -> tuple[int, Any]:
        if time.monotonic() - self._used_at > RESTED:
            # The server may have closed it, or be about to.
            self.close()
            self._open()
        self._used_at = time.monotonic()
        self._socket.sendall(request)
        head, _, body = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += self._piece()
        return int(head[9:12]), json.loads(body)

    def _until(self, mark: bytes) -> bytes:
        data = b""
        while mark not in data:
            data += self._piece()
        return data

    def _piece(self) -> bytes:
        piece = self._socket.recv(65_536)
        if not piece:
            raise ConnectionError("The server hung up.")
        return piece


def _head(method: str, path: str, headers: dict[str, str], content: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def rate(steps: Sequence[Callable[[], object]], seconds: float) -> float:
    """Repeat each step in a thread of its own for a while; return steps per second of all together."""
    done = [0] * len(steps)
    failed: list[BaseException] = []
    started = time.perf_counter()

    def repeat(number: int) -> None:
        try:
            while time.perf_counter() - started < seconds:
                steps[number]()
                done[number] += 1
        except BaseException as error:  # noqa: BLE001  # Raised again by the caller's thread.
            failed.append(error)

    threads = [threading.Thread(target=repeat, args=(number,)) for number in range(len(steps))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return sum(done) / (time.perf_counter() - started)
