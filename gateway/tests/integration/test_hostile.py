from typing import Any

import pytest

from gateway import headers
from gateway.testing import RunningGateway, StubService, UserService

PROFILE = "/api/v1/users/profile"


def get(target: str, *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join((f"GET {target} HTTP/{version}", "Host: x", "Connection: close", *headers, "", "")).encode()


@pytest.mark.parametrize(
    "target",
    [
        "/internal/revocations",
        "/api/v1/users/../../../internal/revocations",
        "/api/v1/users/%2e%2e/%2e%2e/%2e%2e/internal/revocations",
        "/api/v1/users/..%2f..%2f..%2finternal%2frevocations",
        "/api/v1/users%2f..%2f..%2f..%2finternal",
        "/api/v1/users/..;/..;/internal",
        "/api/v1/users\\..\\..\\internal",
        "//internal/revocations",
        "///internal",
        "/./internal/revocations",
        "/.well-known/../internal/revocations",
        "http://127.0.0.1/internal/revocations",
        "http://user-service/api/v1/users/profile",
        "*",
        "internal",
        "?/internal",
        "/api/v1/users/profile#/internal",
    ],
)
def test_no_spelling_leads_past_the_table(
    gateway: RunningGateway, users: UserService, cleanup: StubService, token: str, target: str
) -> None:
    answer = gateway.raw(get(target, f"Authorization: Bearer {token}"))

    assert answer.status in {400, 404}
    assert not [*users.seen, *cleanup.seen]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"garbage\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n folded: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_in_the_same_form_as_everything(
    gateway: RunningGateway, users: UserService, request_bytes: bytes
) -> None:
    answer = gateway.raw(request_bytes)

    assert (answer.status, answer.error) == (400, "bad_request")
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Server"] == "steward"
    assert "Traceback" not in answer.json["message"]
    assert not users.seen


@pytest.mark.parametrize(
    "headers",
    [
        [f"X-Large: {'x' * 9_000}"],
        [f"X-Part-{number}: {'x' * 90}" for number in range(100)],
        [f"Authorization: Bearer {'x' * 8_192}"],
    ],
)
def test_headers_are_at_most_eight_kib(gateway: RunningGateway, users: UserService, headers: list[str]) -> None:
    answer = gateway.raw(get(PROFILE, *headers))

    assert (answer.status, answer.error) == (431, "headers_too_large")
    assert not users.seen


def test_a_header_that_is_no_text_is_refused(gateway: RunningGateway, users: UserService, token: str) -> None:
    answer = gateway.raw(get(PROFILE, f"Authorization: Bearer {token}", "X-Name: ")[:-4] + b"\xff\xfe\r\n\r\n")

    assert (answer.status, answer.error) == (400, "invalid_header")


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "PATCHY"])
def test_an_unknown_method_is_refused_with_those_that_are_known(
    gateway: RunningGateway, token: str, method: str
) -> None:
    answer = gateway.request(method, PROFILE, token=token)

    assert answer.status in {400, 405}
    assert answer.error in {"bad_request", "method_not_allowed"}


def test_a_wrong_method_on_a_path_of_the_gateways_own_is_refused(gateway: RunningGateway) -> None:
    answer = gateway.post("/livez")

    assert (answer.status, answer.error) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]


def test_nobody_gets_a_tunnel_or_another_protocol(gateway: RunningGateway, users: UserService, token: str) -> None:
    tunnel = gateway.raw(b"CONNECT user-service:8001 HTTP/1.1\r\nHost: user-service:8001\r\n\r\n")
    upgrade = gateway.raw(
        get(PROFILE, f"Authorization: Bearer {token}", "Upgrade: websocket").replace(b"close", b"Upgrade, close")
    )

    assert 400 <= tunnel.status < 500
    assert upgrade.status == 200
    assert users.seen[-1].header("Upgrade") is None


def test_an_answer_of_an_old_client_ends_with_the_connection(gateway: RunningGateway, token: str) -> None:
    answer = gateway.raw(get(PROFILE, f"Authorization: Bearer {token}", version="1.0"))

    assert answer.status == 200
    assert answer.json["success"]


def test_what_goes_wrong_inside_is_told_to_the_log_only(
    start: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    gateway = start()

    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(headers, "check", fail)

    answer = gateway.get(PROFILE)

    assert (answer.status, answer.error) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert "secret detail" in capfd.readouterr().err


@pytest.mark.parametrize("path", ["/livez", PROFILE])
def test_a_request_without_a_version_is_refused(gateway: RunningGateway, users: UserService, path: str) -> None:
    answer = gateway.raw(f"GET {path}\r\n\r\n".encode())

    assert (answer.status, answer.error) == (400, "bad_request")
    assert not users.seen


def test_a_body_in_chunks_needs_http_1_1(gateway: RunningGateway, users: UserService) -> None:
    head = "POST /api/v1/auth/login HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    answer = gateway.raw(head.encode() + b"2\r\n{}\r\n0\r\n\r\n")

    assert answer.status == 400
    assert not users.seen
