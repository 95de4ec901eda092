import socket
import threading
import time
from contextlib import suppress
from threading import Event
from typing import Any

import pytest

from gateway.testing import RunningGateway, UserService
from gateway.testing.client import first_answer

NOTIFICATIONS = "/api/v1/notifications"
LIMIT = 100_000


@pytest.fixture
def gateway(start: Any) -> RunningGateway:
    return start(GATEWAY_BODY_LIMIT=str(LIMIT), GATEWAY_DEADLINE_SECONDS="0.5")


def head(token: str, *headers: str) -> bytes:
    lines = (f"POST {NOTIFICATIONS} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *headers, "", "")
    return "\r\n".join(lines).encode()


def sent_in_part(gateway: RunningGateway, request: bytes) -> socket.socket:
    connection = gateway.socket()
    connection.sendall(request)
    return connection


def test_a_body_that_says_it_is_too_large_is_refused_before_any_of_it_is_read(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    with sent_in_part(gateway, head(token, f"Content-Length: {LIMIT + 1}")) as connection:
        answer = first_answer(connection)

    assert (answer.status, answer.error) == (413, "body_too_large")
    assert not users.seen


def test_a_body_that_grows_too_large_is_refused_when_it_does(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    piece = b"%x\r\n" % 30_000 + b"x" * 30_000 + b"\r\n"

    with sent_in_part(gateway, head(token, "Transfer-Encoding: chunked") + piece) as connection:
        connection.sendall(piece * 3)
        answer = first_answer(connection)

    assert (answer.status, answer.error) == (413, "body_too_large")
    assert not users.seen


def test_a_body_of_exactly_the_limit_passes(gateway: RunningGateway, users: UserService, token: str) -> None:
    whole = gateway.post(NOTIFICATIONS, token=token, body=b"x" * LIMIT)
    pieces = gateway.post(NOTIFICATIONS, token=token, body=iter([b"x" * LIMIT]))

    assert (whole.status, pieces.status) == (200, 200)
    assert [len(seen.body) for seen in users.seen] == [LIMIT, LIMIT]


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("Content-Length: 10", (b"12345", b"67890")),
        ("Transfer-Encoding: chunked", (b"5\r\n12345\r\n", b"5\r\n67890\r\n0\r\n\r\n")),
    ],
    ids=["by length", "in chunks"],
)
def test_a_service_does_not_hear_of_a_request_before_it_is_whole(
    gateway: RunningGateway, users: UserService, token: str, header: str, parts: tuple[bytes, bytes]
) -> None:
    with sent_in_part(gateway, head(token, header) + parts[0]) as connection:
        assert gateway.get("/livez").status == 200
        assert not users.seen

        connection.sendall(parts[1])

        assert first_answer(connection).status == 200
    assert users.seen[0].body == b"1234567890"


@pytest.mark.parametrize(
    ("header", "part"),
    [("Content-Length: 10", b"123"), ("Transfer-Encoding: chunked", b"3\r\n123\r\n"), ("Content-Length: 90000", b"1")],
)
def test_a_client_that_does_not_send_what_it_announced_is_the_one_to_blame(
    gateway: RunningGateway, users: UserService, token: str, header: str, part: bytes
) -> None:
    with sent_in_part(gateway, head(token, header) + part) as connection:
        answer = first_answer(connection)

    assert (answer.status, answer.error) == (408, "request_timeout")
    assert not users.seen
    assert gateway.get("/status").json["data"]["services"]["user-service"]["breaker"] == "closed"


def test_a_body_that_only_drips_is_too_late_long_before_the_deadline(
    start: Any, users: UserService, token: str
) -> None:
    gateway = start(GATEWAY_BODY_SECONDS="0.3", GATEWAY_DEADLINE_SECONDS="60")
    started = time.monotonic()

    with sent_in_part(gateway, head(token, "Content-Length: 1000") + b"1") as connection:
        drip = Event()
        threading.Thread(target=dripping, args=(connection, drip)).start()
        answer = first_answer(connection)
        drip.set()

    assert (answer.status, answer.error) == (408, "request_timeout")
    assert time.monotonic() - started < 5
    assert not users.seen


def dripping(connection: socket.socket, enough: Event) -> None:
    with suppress(OSError):
        while not enough.wait(0.05):
            connection.sendall(b"1")


@pytest.mark.parametrize("framing", ["Content-Length", "chunked"])
def test_what_anybody_may_send_is_small(gateway: RunningGateway, users: UserService, framing: str) -> None:
    size = 65_537
    body: Any = b"x" * size if framing == "Content-Length" else iter([b"x" * size])

    got = gateway.request("POST", "/api/v1/auth/login", body=body)

    assert (got.status, got.error) == (413, "body_too_large")
    assert not users.seen


@pytest.mark.parametrize("rest", [b"zz\r\nxxx\r\n", b"-1\r\n\r\n", b"3\r\n12345\r\n"])
def test_a_body_that_breaks_the_rules_is_refused(
    gateway: RunningGateway, users: UserService, token: str, rest: bytes
) -> None:
    with sent_in_part(gateway, head(token, "Transfer-Encoding: chunked") + b"1\r\nx\r\n" + rest) as connection:
        answer = first_answer(connection)

    assert 400 <= answer.status < 500
    assert answer.error in {"broken_body", "bad_request"}


def test_a_client_that_asks_first_sends_its_body_only_where_it_is_wanted(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    expect = ("Expect: 100-continue", "Content-Length: 5")
    with sent_in_part(gateway, head("nobody", *expect)) as connection:
        refused = connection.recv(100)
    with sent_in_part(gateway, head(token, "Expect: 100-continue", f"Content-Length: {LIMIT + 1}")) as connection:
        too_large = connection.recv(100)
    with sent_in_part(gateway, head(token, *expect)) as connection:
        invited = connection.recv(100)
        connection.sendall(b"hello")
        answer = first_answer(connection)

    assert refused.startswith(b"HTTP/1.1 401")
    assert too_large.startswith(b"HTTP/1.1 413")
    assert invited == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.status == 200
    assert users.seen[-1].body == b"hello"
