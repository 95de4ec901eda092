"""gunicorn's threads, which are given whole requests only: who sends slowly keeps a socket, and no thread.

The main thread takes in what comes, on all connections at once and within deadlines (ADR 0036).
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from selectors import EVENT_READ
from typing import Any

from gunicorn.http import get_parser
from gunicorn.http.unreader import Unreader
from gunicorn.workers.gthread import TConn, ThreadWorker

from service_chassis import answers
from service_chassis.http.app import BODY_LIMIT
from service_chassis.http.framing import Framing, Unframed
from service_chassis.listening import deafen

HEAD_WITHIN = 5.0
"""Seconds a connection is given to send the head of a request."""
BODY_WITHIN = 5.0
SLOWEST_BYTES_PER_SECOND = 4_096
"""A body gets five seconds, and more as it comes; the gateway gives its clients the same."""
LINGER = 2.0
"""Seconds a stopping process waits for the first byte of a request."""
LOOK_EVERY = 0.25
PIECE = 65_536
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CODES = {400: "bad_request", 408: "request_timeout", 413: "body_too_large", 431: "headers_too_large"}


class _Received(Unreader):  # type: ignore[misc]  # gunicorn has no types
    """What the parser reads from: the bytes that are there, after which it finds the end of the connection."""

    def __init__(self, received: bytes) -> None:
        super().__init__()
        self.unread(received)

    def chunk(self, size_hint: int | None = None) -> bytes:  # noqa: ARG002  # gunicorn's signature
        return b""


class _Arrival:
    """A request on its way in, and when it has to be there."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.framing = Framing(BODY_LIMIT)
        self._begun = time.monotonic()
        self._body_begun: float | None = None

    def feed(self, piece: bytes) -> None:
        self.framing.feed(piece)
        if self.framing.head_is_whole and self._body_begun is None:
            self._body_begun = time.monotonic()

    def due(self, *, stopping: bool) -> float:
        if self._body_begun is not None:
            return self._body_begun + BODY_WITHIN + len(self.framing.received) / SLOWEST_BYTES_PER_SECOND
        return self._begun + (LINGER if stopping and not self.framing.received else HEAD_WITHIN)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Takes in what is waiting when it is told to stop, and then nothing more.

    gunicorn's own leaves the socket open until its last answer is out, and what connected meanwhile is reset.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, _Arrival] = {}
        self._look_again_at = 0.0

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001  # gunicorn's signature
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                if self.app.all_end:
                    deafen(listener.sock)
                self._take_in(listener)
                listener.close()

    def accept(self, listener: Any) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            socket, address = listener.accept()
            self.nr_conns += 1
            self._await_request(TConn(self.cfg, socket, address, listener.getsockname()))

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """Go on with a connection that was kept alive and is sending another request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep the connection, unless the rest of a body that was too large would be read as another request."""
        kept = not fs.cancelled() and fs.exception() is None and fs.result()
        if kept and conn.cut:
            self._drop(conn, graceful=True)
        elif kept and (ahead := conn.parser.unreader.take_buffered()):
            self._await_request(conn, ahead)
        else:
            super().finish_request(conn, fs)

    def murder_pending(self) -> None:
        """Close connections whose request is not there in time; gunicorn calls this once a second or more often."""
        now = time.monotonic()
        if now < self._look_again_at:
            return
        self._look_again_at = now + LOOK_EVERY
        late = [arrival for arrival in self._arriving.values() if arrival.due(stopping=not self.alive) <= now]
        for arrival in late:
            self._refuse(arrival, 408 if arrival.framing.received else None)

    def _take_in(self, listener: Any) -> None:
        known = -1
        while known < self.nr_conns:
            known = self.nr_conns
            self.accept(listener)

    def _await_request(self, conn: Any, ahead: bytes = b"") -> None:
        conn.sock.setblocking(False)
        arrival = _Arrival(conn)
        # Most requests are there whole by now, and need no turn of the poller.
        self._take(arrival, lambda: ahead) if ahead else self._receive(arrival, conn.sock)

    def _receive(self, arrival: _Arrival, socket: Any) -> None:
        self._take(arrival, lambda: socket.recv(PIECE))

    def _take(self, arrival: _Arrival, piece: Callable[[], bytes]) -> None:
        try:
            received = piece()
            if not received:
                self._refuse(arrival)
                return
            arrival.feed(received)
        except BlockingIOError:
            self._wait_for_more(arrival)
        except Unframed as error:
            self._refuse(arrival, error.status)
        except OSError:
            self._refuse(arrival)
        else:
            self._go_on(arrival)

    def _go_on(self, arrival: _Arrival) -> None:
        framing, conn = arrival.framing, arrival.connection
        if framing.whole:
            self._forget(arrival)
            self._hand_over(conn, framing)
            return
        self._wait_for_more(arrival)
        if framing.invites:
            framing.invites = False
            with suppress(OSError):
                conn.sock.send(CONTINUE)

    def _wait_for_more(self, arrival: _Arrival) -> None:
        if arrival.connection not in self._arriving:
            self._arriving[arrival.connection] = arrival
            self.poller.register(arrival.connection.sock, EVENT_READ, partial(self._receive, arrival))

    def _hand_over(self, conn: Any, framing: Framing) -> None:
        if conn.parser is None:
            conn.parser = get_parser(self.cfg, conn.sock, conn.client)
        conn.parser.unreader = _Received(bytes(framing.received))
        conn.initialized, conn.cut = True, framing.cut
        self.enqueue_req(conn)

    def _refuse(self, arrival: _Arrival, status: int | None = None) -> None:
        self._forget(arrival)
        if status is not None:
            with suppress(OSError):
                arrival.connection.sock.send(_refusal(status))
        self._drop(arrival.connection)

    def _forget(self, arrival: _Arrival) -> None:
        if self._arriving.pop(arrival.connection, None) is not None:
            self.poller.unregister(arrival.connection.sock)

    def _drop(self, conn: Any, *, graceful: bool = False) -> None:
        self.nr_conns -= 1
        conn.close(graceful=graceful)


def _refusal(status: int) -> bytes:
    """Return an answer in the form of every other."""
    phrase = HTTPStatus(status).phrase
    body = json.dumps(answers.failure(CODES[status], f"{phrase}."))
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n{body}".encode()
