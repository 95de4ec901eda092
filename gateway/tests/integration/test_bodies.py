import socket
from typing import Any

import pytest

from gateway.testing import RunningGateway, UserService
from gateway.testing.behaviours import hang_reading
from gateway.testing.client import first_answer
from service_chassis.testing.waiting import wait_until

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
    users.behaves = hang_reading
    piece = b"%x\r\n" % 30_000 + b"x" * 30_000 + b"\r\n"

    with sent_in_part(gateway, head(token, "Transfer-Encoding: chunked") + piece) as connection:
        wait_until(lambda: users.seen)
        connection.sendall(piece * 3)
        answer = first_answer(connection)

    assert (answer.status, answer.error) == (413, "body_too_large")
    assert users.left.wait(5)


def test_a_body_of_exactly_the_limit_passes(gateway: RunningGateway, users: UserService, token: str) -> None:
    whole = gateway.post(NOTIFICATIONS, token=token, body=b"x" * LIMIT)
    pieces = gateway.post(NOTIFICATIONS, token=token, body=iter([b"x" * LIMIT]))

    assert (whole.status, pieces.status) == (200, 200)
    assert [len(seen.body) for seen in users.seen] == [LIMIT, LIMIT]


def test_a_service_does_not_hear_of_a_short_request_before_it_is_there(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    with sent_in_part(gateway, head(token, "Content-Length: 10") + b"12345") as connection:
        assert gateway.get("/livez").status == 200
        assert not users.seen

        connection.sendall(b"67890")

        assert first_answer(connection).status == 200
    assert users.seen[0].body == b"1234567890"


@pytest.mark.parametrize(
    ("header", "part"),
    [("Content-Length: 10", b"123"), ("Transfer-Encoding: chunked", b"3\r\n123\r\n"), ("Content-Length: 90000", b"1")],
)
def test_a_client_that_does_not_send_what_it_announced_is_the_one_to_blame(
    gateway: RunningGateway, users: UserService, token: str, header: str, part: bytes
) -> None:
    users.behaves = hang_reading

    with sent_in_part(gateway, head(token, header) + part) as connection:
        answer = first_answer(connection)

    assert (answer.status, answer.error) == (408, "request_timeout")
    assert gateway.get("/status").json["data"]["services"]["user-service"]["breaker"] == "closed"


@pytest.mark.parametrize("rest", [b"zz\r\nxxx\r\n", b"-1\r\n\r\n", b"3\r\n12345\r\n"])
def test_a_body_that_breaks_the_rules_is_refused(
    gateway: RunningGateway, users: UserService, token: str, rest: bytes
) -> None:
    users.behaves = hang_reading

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
