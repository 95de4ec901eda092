"""The web of a service as its own process, on its own port."""

import http.client
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from service_chassis.testing.servers.process import Guard, Process, free_port, listens

STARTS_WITHIN = 30


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    guard = Guard(folder / "guarded")
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "STEWARD_DATA": str(folder),
        "USER_SERVICE_BIND": f"127.0.0.1:{port}",
        "WEB_PROCESSES": "1",
        "ARGON2_MEMORY_KIB": "8",
        "ARGON2_PASSES": "1",
        "LOG_LEVEL": "ERROR",
    }
    try:
        web = Process([sys.executable, "-m", "user_service", "web"], Path(folder), guard=guard, env=env)
        web.wait_for(lambda: listens(port), STARTS_WITHIN)
        yield port
    finally:
        guard.end()


@pytest.mark.parametrize("header", ["SCRIPT_NAME: /elsewhere", "Script-Name: /elsewhere", "PATH_INFO: /livez"])
def test_no_header_says_which_path_a_request_has(port: int, header: str) -> None:
    assert status(port, "GET /elsewhere/livez HTTP/1.1", header) == 404
    assert status(port, "GET /livez HTTP/1.1", header) == 200


@pytest.mark.parametrize("header", ["X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "X-Forwarded-Protocol: ssl"])
def test_no_header_says_which_scheme_a_request_has(port: int, header: str) -> None:
    assert status(port, "GET /livez HTTP/1.1", header, "X-Forwarded-Proto: http") == 200


HEAD = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
NEVER_WHOLE = {
    "nothing": "",
    "half a head": "GET /livez HTTP/1.1\r\nX-Slow: ",
    "half a body": f"{HEAD}Content-Length: 20000\r\n\r\n{{",
    "half a chunk": f"{HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n",
}
BODY = b'{"email": "nobody@example.com", "password": "wrong"}'


@pytest.mark.parametrize("sent", NEVER_WHOLE.values(), ids=NEVER_WHOLE)
def test_requests_that_are_never_whole_keep_nobody_else_waiting(port: int, sent: str) -> None:
    with ExitStack() as stack:
        for _ in range(120):
            stack.enter_context(closing(connected(port))).sendall(sent.encode())
        times = []
        for _ in range(20):
            started = time.monotonic()
            assert status(port, "GET /readyz HTTP/1.1") == 200
            times.append(time.monotonic() - started)

    assert sorted(times)[-2] <= 0.25


@pytest.mark.parametrize("sent", list(NEVER_WHOLE.values())[1:], ids=list(NEVER_WHOLE)[1:])
def test_a_request_that_is_not_there_in_time_is_ended(port: int, sent: str) -> None:
    with closing(connected(port)) as connection:
        connection.sendall(sent.encode())
        started = time.monotonic()
        answer = connection.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 4 <= time.monotonic() - started <= 8


def test_a_connection_takes_one_request_after_the_other(port: int) -> None:
    """Whole, in pieces, in chunks, two at once, and one that asks whether it may."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        for options in ({"body": BODY}, {"body": iter([BODY[:9], BODY[9:]]), "encode_chunked": True}):
            headers = {"Content-Type": "application/json"}
            if "encode_chunked" in options:
                headers["Transfer-Encoding"] = "chunked"
            connection.request("POST", "/api/v1/auth/login", headers=headers, **options)
            answer = connection.getresponse()
            assert (answer.status, b"invalid_credentials" in answer.read()) == (401, True)
        assert connection.sock is not None
        two = f"{HEAD}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY + b"GET /livez HTTP/1.1\r\nHost: x\r\n"
        connection.sock.sendall(two)
        wait_for(connection.sock, b"invalid_credentials")
        connection.sock.sendall(b"\r\n")
        wait_for(connection.sock, b'"alive"')
        connection.sock.sendall(f"{HEAD}Expect: 100-continue\r\nContent-Length: {len(BODY)}\r\n\r\n".encode())
        wait_for(connection.sock, b"100 Continue")
        connection.sock.sendall(BODY)
        wait_for(connection.sock, b"invalid_credentials")


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (f"{HEAD}Content-Length: 3000000\r\n\r\n{{", 413),
        (f"{HEAD}X-Large: {'x' * 20_000}", 431),
        (f"{HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (f"{HEAD}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        ("GET /livez\r\n\r\n", 400),
    ],
    ids=["body", "head", "chunk", "two lengths", "version"],
)
def test_what_cannot_be_served_is_refused_at_once(port: int, sent: str, answered: int) -> None:
    with closing(connected(port)) as connection:
        connection.sendall(sent.encode())
        started = time.monotonic()
        assert int(connection.makefile("rb").readline().split()[1]) == answered

    assert time.monotonic() - started < 2


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def wait_for(connection: socket.socket, words: bytes) -> None:
    received = b""
    while words not in received:
        piece = connection.recv(65_536)
        assert piece, received
        received += piece


def status(port: int, *lines: str) -> int:
    """Send a request and return the status of the answer."""
    with closing(connected(port)) as connection:
        connection.sendall("\r\n".join([*lines, "Host: x", "Connection: close", "", ""]).encode())
        return int(connection.makefile("rb").readline().split()[1])
