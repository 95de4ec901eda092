import time
from concurrent.futures import ThreadPoolExecutor
from http.client import IncompleteRead
from typing import Any

import pytest

from gateway.testing import Answer, RunningGateway, StubService, UserService
from gateway.testing.behaviours import answer, break_off, drip, echo, hang, in_turn, reset
from service_chassis.testing.waiting import wait_until

PROFILE = "/api/v1/users/profile"
REPORTS = "/api/v1/reports"
KEY = {"Idempotency-Key": "k1"}


@pytest.fixture
def hasty(start: Any) -> RunningGateway:
    """A gateway that does not wait long, and opens its breakers for a moment only."""
    return start(GATEWAY_DEADLINE_SECONDS="0.2", GATEWAY_BREAKER_SECONDS="0.3")


def breaker(gateway: RunningGateway, service: str = "user-service") -> str:
    metrics = gateway.get("/metrics").body.decode()
    (line,) = [line for line in metrics.splitlines() if line.startswith(f'breaker_state{{breaker="{service}"}}')]
    return {"0.0": "closed", "1.0": "half open", "2.0": "open"}[line.split()[-1]]


def test_a_service_that_does_not_answer_costs_no_more_than_the_deadline(
    hasty: RunningGateway, users: UserService, token: str
) -> None:
    users.behaves = hang
    started = time.monotonic()

    got = hasty.get(PROFILE, token=token)

    assert (got.status, got.error) == (504, "upstream_timeout")
    assert time.monotonic() - started < 1
    assert users.left.wait(5)
    assert len(users.seen) == 1


def test_a_service_that_drips_its_answer_does_not_either(hasty: RunningGateway, users: UserService, token: str) -> None:
    users.behaves = drip

    got = hasty.get(PROFILE, token=token)

    assert (got.status, got.error) == (504, "upstream_timeout")


def test_a_service_that_is_not_there_is_told_apart_from_a_slow_one(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    users.stop()
    try:
        got = gateway.get(PROFILE, token=token)
    finally:
        users.start()

    assert (got.status, got.error) == (502, "upstream_unreachable")


@pytest.mark.parametrize(
    ("method", "headers"),
    [("GET", {}), ("HEAD", {}), ("PUT", {}), ("DELETE", {}), ("POST", KEY), ("POST", {"X-Request-ID": "k1"})],
)
def test_a_request_that_may_be_repeated_survives_a_crash_of_the_service(
    gateway: RunningGateway, users: UserService, token: str, method: str, headers: dict[str, str]
) -> None:
    users.behaves = in_turn(reset, echo)

    got = gateway.request(method, "/api/v1/users/7", token=token, body=b"{}", headers=headers)

    assert got.status == 200
    assert [seen.body for seen in users.seen] == [b"{}", b"{}"]
    assert 'gateway_upstream_retries_total{service="user-service"} 1.0' in gateway.get("/metrics").body.decode()


@pytest.mark.parametrize(
    "request_line",
    ["POST /api/v1/users/7/deactivate", f"PATCH {PROFILE}", "POST /api/v1/auth/refresh", "POST /api/v1/auth/login"],
)
def test_a_request_that_may_not_be_repeated_is_sent_once(
    gateway: RunningGateway, users: UserService, token: str, request_line: str
) -> None:
    users.behaves = reset
    method, path = request_line.split()

    got = gateway.request(method, path, token=token, body=b"{}", headers=KEY if "/auth/" in path else {})

    assert (got.status, got.error) == (502, "upstream_unreachable")
    assert len(users.seen) == 1


def test_a_request_is_repeated_once_and_not_for_ever(gateway: RunningGateway, users: UserService, token: str) -> None:
    users.behaves = reset

    got = gateway.get(PROFILE, token=token)

    assert got.status == 502
    assert len(users.seen) == 2


def test_a_body_that_came_in_pieces_is_whole_and_can_be_sent_again(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    users.behaves = reset

    got = gateway.request("PUT", "/api/v1/users/7", token=token, body=iter([b"x" * 10, b"y" * 10]))

    assert got.status == 502
    assert [seen.body for seen in users.seen] == [b"x" * 10 + b"y" * 10] * 2


def test_requests_beyond_those_a_service_gets_at_a_time_wait_and_open_no_breaker(
    start: Any, users: UserService, token: str
) -> None:
    gateway = start(GATEWAY_UPSTREAM_REQUESTS="2", GATEWAY_DEADLINE_SECONDS="0.4", GATEWAY_BREAKER_FAILURES="3")
    users.behaves = hang

    with ThreadPoolExecutor(8) as clients:
        got = list(clients.map(lambda _: gateway.get(PROFILE, token=token), range(8)))

    assert sorted(each.error for each in got) == ["busy"] * 6 + ["upstream_timeout"] * 2
    assert {each.headers.get("Retry-After") for each in got if each.error == "busy"} == {"1"}
    assert breaker(gateway) == "closed"


@pytest.mark.parametrize("status", [500, 503, 504])
def test_an_answer_is_an_answer_and_never_a_reason_to_repeat(
    gateway: RunningGateway, users: UserService, token: str, status: int
) -> None:
    users.behaves = answer(status)

    got = gateway.get(PROFILE, token=token)

    assert got.status == status
    assert len(users.seen) == 1


def test_retries_end_when_the_budget_does(start: Any, users: UserService, token: str) -> None:
    gateway = start(GATEWAY_BREAKER_FAILURES="1000")
    users.behaves = in_turn(*[reset, echo] * 15, reset)

    statuses = [gateway.get(PROFILE, token=token).status for _ in range(40)]

    assert statuses.count(200) < 20
    assert len(users.seen) < 60


def test_an_answer_that_breaks_off_is_not_taken_for_whole(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    users.behaves = break_off

    with pytest.raises((ConnectionError, IncompleteRead)):
        gateway.get(PROFILE, token=token)

    assert 'route="/api/v1/users",status="502"' in gateway.get("/metrics").body.decode()


def test_five_failures_open_the_breaker_and_a_success_of_one_probe_closes_it(
    hasty: RunningGateway, users: UserService, token: str
) -> None:
    users.behaves = hang
    for _ in range(5):
        assert hasty.get(PROFILE, token=token).status == 504

    refused = hasty.get(PROFILE, token=token)
    asked = len(users.seen)
    opened = breaker(hasty)
    wait_until(lambda: breaker(hasty) == "half open")
    with ThreadPoolExecutor(10) as clients:
        probed = list(clients.map(lambda _: hasty.get(PROFILE, token=token).status, range(10)))
    probes = len(users.seen) - asked
    users.behaves = echo
    recovered = wait_until(lambda: (got := hasty.get(PROFILE, token=token)).status == 200 and got)

    assert (refused.status, refused.error, refused.headers["Retry-After"]) == (503, "circuit_open", "1")
    assert (asked, opened) == (5, "open")
    assert (probes, sorted(probed)) == (1, [503] * 9 + [504])
    assert isinstance(recovered, Answer)
    assert breaker(hasty) == "closed"


def test_a_failing_service_does_not_take_another_with_it(
    hasty: RunningGateway, users: UserService, cleanup: StubService, token: str
) -> None:
    users.behaves = hang
    for _ in range(6):
        hasty.get(PROFILE, token=token)

    assert hasty.get(REPORTS, token=token).status == 200
    assert (breaker(hasty), breaker(hasty, "cleanup-service")) == ("open", "closed")
    assert 'breaker_changes_total{breaker="user-service",state="open"} 1.0' in hasty.get("/metrics").body.decode()


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429])
def test_refusals_are_a_sign_of_health(gateway: RunningGateway, users: UserService, token: str, status: int) -> None:
    users.behaves = answer(status)

    statuses = [gateway.get(PROFILE, token=token).status for _ in range(10)]

    assert statuses == [status] * 10
    assert breaker(gateway) == "closed"


def test_so_is_a_service_that_says_when_to_come_back(gateway: RunningGateway, users: UserService, token: str) -> None:
    users.behaves = answer(503, Retry_After="1")

    statuses = [gateway.get(PROFILE, token=token).status for _ in range(10)]

    assert statuses == [503] * 10
    assert breaker(gateway) == "closed"


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_service_that_says_it_cannot_serve_is_left_alone(
    gateway: RunningGateway, users: UserService, token: str, status: int
) -> None:
    users.behaves = answer(status)

    errors = [gateway.get(PROFILE, token=token).status for _ in range(6)]

    assert errors == [status] * 5 + [503]
    assert breaker(gateway) == "open"


def test_a_fault_that_one_request_provokes_does_not_close_the_service_to_others(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    users.behaves = answer(500)

    statuses = [gateway.get(PROFILE, token=token).status for _ in range(30)]

    assert statuses == [500] * 30
    assert breaker(gateway) == "closed"


def test_a_service_that_comes_back_is_found_on_its_old_connections(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    with ThreadPoolExecutor(4) as clients:
        list(clients.map(lambda _: gateway.get(PROFILE, token=token), range(8)))

    users.stop()
    users.start()

    assert [gateway.get(PROFILE, token=token).status for _ in range(5)] == [200] * 5


def test_an_answer_that_is_not_http_is_a_failure_of_the_service(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    from aiohttp import web

    async def babble(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        request.transport.close()
        return web.Response()

    users.behaves = babble

    got = gateway.get(PROFILE, token=token)

    assert (got.status, got.error) == (502, "upstream_unreachable")
