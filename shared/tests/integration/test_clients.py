import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from service_chassis.breaker import Breaker
from service_chassis.clients import Pool, ServiceClient, UpstreamRefused, UpstreamUnavailable

SHORT = timedelta(milliseconds=300)
MARGIN = 1.0


class Handler(BaseHTTPRequestHandler):
    """Does what the path says, and notes from which connection it was asked."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536
    server: "Server"

    def do_GET(self) -> None:
        self.server.asked_from.append(self.client_address)
        getattr(self, self.path.strip("/"))()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass

    def fine(self) -> None:
        self.answer(b'{"fine":true}')

    def missing(self) -> None:
        self.answer(b'{"error":"not_found"}', status=404)

    def elsewhere(self) -> None:
        self.answer(b"", {"Location": "/fine", "Content-Length": "0"}, status=302)

    def huge(self) -> None:
        self.answer(b'"' + b"x" * 3_000 + b'"')

    def chunked(self) -> None:
        self.answer(b'8\r\n{"fine":\r\n5\r\ntrue}\r\n0\r\n\r\n', {"Transfer-Encoding": "chunked"})

    def reset(self) -> None:
        self.close_connection = True

    def reset_once(self) -> None:
        if len(self.server.asked_from) > 1:
            self.fine()
        else:
            self.reset()

    def breaks_off(self) -> None:
        self.answer(b'{"fine"', {"Content-Length": "100"})
        self.close_connection = True

    def hangs(self) -> None:
        self.server.over.wait(10)
        self.close_connection = True

    def trickles(self) -> None:
        self.answer(b'{"', {"Content-Length": "10000"})
        for _ in range(200):
            if self.server.over.wait(0.02):
                return
            self.wfile.write(b"x")
            self.wfile.flush()

    def stalls(self) -> None:
        self.answer(b'{"fine"', {"Content-Length": "100"})
        self.server.over.wait(10)

    def answer(self, body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        framing = {"Content-Length": str(len(body))}
        for name, value in (headers or framing).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked_from: list[tuple[str, int]] = []
        self.over = threading.Event()

    def handle_error(self, *_: Any) -> None:
        """Clients that give up are what these tests are about."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join(10)


def client_of(server: Server, within: timedelta = timedelta(seconds=5), **pool: int) -> ServiceClient:
    url = f"http://127.0.0.1:{server.server_port}"
    return ServiceClient(url, breaker=Breaker("upstream"), within=within, transport=Pool(**pool))


def read(client: ServiceClient, path: str) -> Any:
    return client.get(path, dict[str, bool])


@pytest.mark.parametrize("path", ["/fine", "/chunked"])
def test_connections_are_kept_and_used_again(server: Server, path: str) -> None:
    client = client_of(server)

    answers = [read(client, path) for _ in range(3)]

    assert answers == [{"fine": True}] * 3
    assert len(set(server.asked_from)) == 1


def test_threads_share_a_client(server: Server) -> None:
    client = client_of(server, connections=4)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: read(client, "/fine"), range(100)))

    assert answers == [{"fine": True}] * 100
    assert len(set(server.asked_from)) <= 4


def test_a_refusal_leaves_the_connection_usable(server: Server) -> None:
    client = client_of(server)

    with pytest.raises(UpstreamRefused):
        client.get("/missing", dict[str, bool])
    read(client, "/fine")

    assert len(set(server.asked_from)) == 1


def test_redirections_are_not_followed(server: Server) -> None:
    with pytest.raises(UpstreamRefused) as refused:
        read(client_of(server), "/elsewhere")

    assert refused.value.upstream_status == 302


def test_a_read_survives_one_reset(server: Server) -> None:
    assert read(client_of(server), "/reset_once") == {"fine": True}

    assert len(server.asked_from) == 2


def test_a_write_is_never_sent_twice(server: Server) -> None:
    with pytest.raises(UpstreamUnavailable):
        client_of(server).post("/reset_once", {}, dict[str, bool])

    assert len(server.asked_from) == 1


def test_an_answer_that_breaks_off_is_not_asked_for_again(server: Server) -> None:
    with pytest.raises(UpstreamUnavailable, match="broke off"):
        read(client_of(server), "/breaks_off")

    assert len(server.asked_from) == 1


def test_more_than_is_accepted_is_not_read(server: Server) -> None:
    with pytest.raises(UpstreamUnavailable, match="more than is accepted"):
        read(client_of(server, longest_body=2_000), "/huge")


@pytest.mark.parametrize("path", ["/hangs", "/trickles", "/stalls"])
def test_no_call_outlives_its_deadline(server: Server, path: str) -> None:
    client = client_of(server, within=SHORT)
    started = time.monotonic()

    with pytest.raises(UpstreamUnavailable):
        read(client, path)

    assert time.monotonic() - started < SHORT.total_seconds() + MARGIN
    assert len(server.asked_from) == 1


def test_a_connection_given_up_half_way_is_not_used_again(server: Server) -> None:
    client = client_of(server, within=SHORT)
    with pytest.raises(UpstreamUnavailable):
        read(client, "/stalls")

    assert read(client, "/fine") == {"fine": True}
    assert len(set(server.asked_from)) == 2


def test_nobody_listening_means_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = ServiceClient(f"http://127.0.0.1:{port}", breaker=Breaker("upstream"))

    with pytest.raises(UpstreamUnavailable, match="upstream does not answer"):
        read(client, "/fine")


def test_a_host_nobody_knows_means_unavailable() -> None:
    client = ServiceClient("http://nowhere.invalid", breaker=Breaker("upstream"))

    with pytest.raises(UpstreamUnavailable, match="upstream does not answer"):
        read(client, "/fine")
