import gzip
import json
from typing import Any

import pytest

from gateway.testing import RunningGateway, StubService, UserService
from gateway.testing.behaviours import answer, hang
from gateway.testing.client import read
from service_chassis.testing.waiting import wait_until

PROFILE = "/api/v1/users/profile"


def test_a_request_arrives_as_it_was_sent(gateway: RunningGateway, users: UserService, token: str) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k1", "Accept-Language": "de", "Cookie": "a=b"}

    gateway.request("PATCH", f"{PROFILE}/?full=yes&q=%20a", token=token, body=b'{"name": "Anna"}', headers=headers)

    seen = users.seen[-1]
    assert (seen.method, seen.target, seen.body) == ("PATCH", f"{PROFILE}?full=yes&q=%20a", b'{"name": "Anna"}')
    assert {name: seen.header(name) for name in headers} == headers
    assert seen.header("Host") == users.url.removeprefix("http://")


def test_an_answer_arrives_as_it_was_given(gateway: RunningGateway, users: UserService, token: str) -> None:
    users.behaves = answer(409, {"a": 1}, ETag='"7"', Link="</next>", Retry_After="3", Server="gunicorn")

    got = gateway.get(PROFILE, token=token)

    assert (got.status, got.json["data"]) == (409, {"a": 1})
    assert (got.headers["ETag"], got.headers["Link"], got.headers["Retry-After"]) == ('"7"', "</next>", "3")
    assert got.headers.get_all("Server") == ["steward"]
    assert got.headers["Content-Type"] == "application/json"


def test_a_packed_answer_is_not_unpacked_on_the_way(gateway: RunningGateway, users: UserService, token: str) -> None:
    from aiohttp import web

    packed = gzip.compress(b"x" * 1_000)

    async def behave(_: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    users.behaves = behave

    got = gateway.get(PROFILE, token=token)

    assert got.body == packed
    assert got.headers["Content-Encoding"] == "gzip"


def test_a_packed_request_is_not_unpacked_on_the_way(gateway: RunningGateway, users: UserService, token: str) -> None:
    packed = gzip.compress(b"x" * 1_000)

    gateway.post("/api/v1/notifications", token=token, body=packed, headers={"Content-Encoding": "identity, x"})

    assert users.seen[-1].body == packed


def test_a_redirect_is_the_clients_to_follow(gateway: RunningGateway, users: UserService, token: str) -> None:
    users.behaves = answer(307, Location="/api/v1/users/1")

    got = gateway.get(PROFILE, token=token)

    assert (got.status, got.headers["Location"]) == (307, "/api/v1/users/1")
    assert len(users.seen) == 1


def test_head_and_empty_answers_have_no_body(gateway: RunningGateway, users: UserService, token: str) -> None:
    from aiohttp import web

    connection = gateway.connection()
    headers = {"Authorization": f"Bearer {token}"}
    connection.request("HEAD", PROFILE, headers=headers)
    head = read(connection)

    async def empty(_: web.Request) -> web.Response:
        return web.Response(status=204)

    users.behaves = empty
    connection.request("DELETE", PROFILE, headers=headers)
    deleted = read(connection)
    connection.close()

    assert (head.status, head.body, int(head.headers["Content-Length"]) > 0) == (200, b"", True)
    assert (deleted.status, deleted.body) == (204, b"")


def test_each_service_gets_its_own_requests(
    gateway: RunningGateway, users: UserService, cleanup: StubService, token: str
) -> None:
    gateway.get("/api/v1/reports/latest", token=token)
    gateway.get("/api/v1/users", token=token)

    assert [seen.target for seen in cleanup.seen] == ["/api/v1/reports/latest"]
    assert [seen.target for seen in users.seen] == ["/api/v1/users"]


def test_a_service_that_is_not_part_of_the_installation_is_named_as_such(gateway: RunningGateway, token: str) -> None:
    got = gateway.get("/api/v1/tasks", token=token)

    assert (got.status, got.error) == (503, "service_not_configured")


def test_a_good_correlation_id_is_taken_over_and_a_bad_one_replaced(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    good = gateway.get(PROFILE, token=token, headers={"X-Correlation-ID": "order-7.a_b"})
    bad = gateway.get(PROFILE, token=token, headers={"X-Correlation-ID": "x" * 65})
    refused = gateway.get(PROFILE, headers={"X-Correlation-ID": "order-8"})

    assert good.headers["X-Correlation-ID"] == users.seen[0].header("X-Correlation-ID") == "order-7.a_b"
    assert bad.headers["X-Correlation-ID"] == users.seen[1].header("X-Correlation-ID") != "x" * 65
    assert refused.headers["X-Correlation-ID"] == "order-8"


def test_a_trace_is_continued_with_a_span_of_the_gateways_own(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    trace, span = "a" * 32, "b" * 16

    gateway.get(PROFILE, token=token, headers={"traceparent": f"00-{trace}-{span}-01"})
    gateway.get(PROFILE, token=token, headers={"traceparent": "garbage"})

    continued, begun = (str(seen.header("traceparent")) for seen in users.seen)
    assert continued.startswith(f"00-{trace}-")
    assert span not in continued
    assert begun.startswith("00-")


def test_the_service_is_told_how_long_its_answer_is_waited_for(start: Any, users: UserService, token: str) -> None:
    gateway = start(GATEWAY_DEADLINE_SECONDS="5")

    gateway.get(PROFILE, token=token, headers={"X-Request-Deadline-Ms": "999999"})

    assert 4_000 < int(str(users.seen[-1].header("X-Request-Deadline-Ms"))) <= 5_000


def test_a_long_answer_is_passed_on_while_it_comes(gateway: RunningGateway, users: UserService, token: str) -> None:
    from aiohttp import web

    async def behave(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first ")
        return await hang(request)

    users.behaves = behave
    connection = gateway.connection()
    connection.request("GET", PROFILE, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()

    assert response.read(6) == b"first "
    assert response.headers["X-Correlation-ID"]
    response.close()
    connection.close()
    assert users.left.wait(5)


def test_megabytes_go_both_ways_unchanged(start: Any, users: UserService, token: str) -> None:
    from aiohttp import web

    gateway = start(GATEWAY_BODY_LIMIT="8000000")
    body = bytes(range(256)) * 20_000

    async def behave(_: web.Request) -> web.Response:
        return web.Response(body=users.seen[-1].body)

    users.behaves = behave

    whole = gateway.post("/api/v1/notifications", token=token, body=body)
    pieces = gateway.post(
        "/api/v1/notifications", token=token, body=(body[at : at + 70_000] for at in range(0, len(body), 70_000))
    )

    assert whole.body == body
    assert pieces.body == body
    assert [seen.header("Content-Length") for seen in users.seen] == [str(len(body))] * 2


def test_a_client_that_leaves_takes_its_request_along(gateway: RunningGateway, users: UserService, token: str) -> None:
    users.behaves = hang
    connection = gateway.connection()
    connection.request("GET", PROFILE, headers={"Authorization": f"Bearer {token}"})
    wait_until(lambda: users.seen)

    connection.close()

    assert users.left.wait(5)
    assert "499" in gateway.get("/metrics").body.decode()


def test_every_request_leaves_one_line_without_what_was_asked_for(
    start: Any, users: UserService, token: str, capfd: pytest.CaptureFixture[str]
) -> None:
    gateway = start(LOG_LEVEL="INFO")
    capfd.readouterr()

    gateway.get(f"{PROFILE}?email=anna@example.com", token=token, headers={"X-Correlation-ID": "order-7"})

    (line,) = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert (line["event"], line["method"], line["route"], line["status"]) == ("request", "GET", "/api/v1/users", 200)
    assert (line["service"], line["correlation_id"]) == ("gateway", "order-7")
    assert "anna" not in json.dumps(line)


def test_connections_to_a_service_are_kept_for_the_next_request(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    for _ in range(5):
        gateway.get(PROFILE, token=token)

    assert len({seen.connection for seen in users.seen}) == 1


def test_cookies_of_one_client_are_not_given_to_another(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    users.behaves = answer(200, Set_Cookie="session=annas")

    first = gateway.get(PROFILE, token=token)
    gateway.get(PROFILE, token=token)

    assert first.headers["Set-Cookie"] == "session=annas"
    assert users.seen[-1].header("Cookie") is None
