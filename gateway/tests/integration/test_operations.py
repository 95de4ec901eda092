from collections.abc import Callable
from typing import Any

import pytest

from gateway.testing import RunningGateway, StubService, UserService
from service_chassis.testing.waiting import wait_until

PROFILE = "/api/v1/users/profile"
SPEC: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {"/api/v1/users": {"get": {"responses": {}}}, "/internal/revocations": {"get": {"responses": {}}}},
}

Start = Callable[..., RunningGateway]


def test_the_bare_address_says_what_is_where(gateway: RunningGateway) -> None:
    shown = gateway.get("/").json["data"]["see"]

    assert {shown["status"], shown["openapi"]} == {"/status", "/openapi.json"}


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz/", "/status", "/api/v1/health", "/openapi.json", "/metrics"])
def test_what_is_for_everybody_needs_no_token(gateway: RunningGateway, path: str) -> None:
    answer = gateway.get(path)

    assert answer.status == 200
    assert answer.headers["X-Correlation-ID"]


def test_strangers_see_no_metrics_and_of_the_state_one_word(start: Start) -> None:
    gateway = start(GATEWAY_OPERATORS="192.0.2.0/24,fd00::/8", GATEWAY_TRUSTED_PROXIES="127.0.0.1")

    def seen_from(address: str) -> tuple[int, bool, bool]:
        headers = {"X-Forwarded-For": address}
        reports = [gateway.get(path, headers=headers).json["data"] for path in ("/status", "/api/v1/health/")]
        assert [report["status"] for report in reports] == ["healthy", "healthy"]
        return gateway.get("/metrics", headers=headers).status, *("services" in report for report in reports)

    assert seen_from("198.51.100.7") == (404, False, False)
    assert seen_from("unknown") == (404, False, False)
    assert seen_from("192.0.2.1") == seen_from("fd00::1") == (200, True, True)


def test_health_is_that_of_all_services_together(gateway: RunningGateway) -> None:
    health = gateway.get("/api/v1/health").json["data"]

    assert health["status"] == "healthy"
    assert set(health["services"]) == {"user-service", "cleanup-service"}
    assert health["services"]["user-service"]["status"] == "healthy"
    assert health == gateway.get("/status").json["data"]


@pytest.mark.parametrize(
    ("said", "overall", "status"),
    [((200, "degraded"), "degraded", 200), ((503, "unhealthy"), "unhealthy", 503), ((500, "?"), "unhealthy", 503)],
)
def test_trouble_of_a_service_shows_in_the_whole(
    gateway: RunningGateway, cleanup: StubService, said: tuple[int, str], overall: str, status: int
) -> None:
    cleanup.health = said

    health, page = gateway.get("/api/v1/health"), gateway.get("/status")

    assert (health.status, health.json["data"]["status"]) == (status, overall)
    assert (page.status, page.json["data"]["status"]) == (200, overall)
    assert page.json["data"]["services"]["user-service"]["status"] == "healthy"


def test_a_service_that_is_not_there_makes_the_whole_unhealthy_and_is_named(
    gateway: RunningGateway, cleanup: StubService
) -> None:
    cleanup.stop()
    try:
        health = gateway.get("/api/v1/health")
    finally:
        cleanup.start()

    assert (health.status, health.error) == (503, "unhealthy")
    assert health.json["data"]["services"]["cleanup-service"]["problem"] == "The service does not answer."


def test_a_missing_service_that_nothing_needs_degrades_the_whole(start: Start) -> None:
    gateway = start(TASK_SERVICE_URL="http://127.0.0.1:1")

    health = gateway.get("/api/v1/health")

    assert (health.status, health.json["data"]["status"]) == (200, "degraded")


def test_one_document_describes_what_all_services_offer(
    gateway: RunningGateway, users: UserService, cleanup: StubService
) -> None:
    users.spec = SPEC
    cleanup.spec = {"openapi": "3.1.0", "paths": {"/api/v1/reports": {"get": {"responses": {}}}}}

    document = gateway.get("/openapi.json").json

    assert set(document["paths"]) == {"/api/v1/users", "/api/v1/reports"}
    assert document["servers"] == [{"url": "/"}]


def test_a_service_that_is_away_leaves_the_others_described(
    gateway: RunningGateway, users: UserService, cleanup: StubService
) -> None:
    users.spec = SPEC
    cleanup.spec = None

    assert set(gateway.get("/openapi.json").json["paths"]) == {"/api/v1/users"}


def test_requests_and_what_became_of_them_are_measured(gateway: RunningGateway, token: str) -> None:
    gateway.get(PROFILE, token=token)
    gateway.get("/api/v1/reports")
    gateway.get("/no/such/path/7")
    gateway.request("BREW", "/coffee")

    metrics = gateway.get("/metrics").body.decode()

    assert 'http_requests_total{method="GET",route="/api/v1/users",status="200"} 1.0' in metrics
    assert 'http_requests_total{method="GET",route="/api/v1/reports",status="401"} 1.0' in metrics
    assert 'http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in metrics
    assert 'gateway_upstream_seconds_count{outcome="2xx",service="user-service"} 1.0' in metrics
    assert 'breaker_state{breaker="cleanup-service"} 0.0' in metrics
    assert "gateway_revocations_age_seconds 0." in metrics or "gateway_revocations_age_seconds 1." in metrics
    assert "coffee" not in metrics


def preflight(gateway: RunningGateway, origin: str) -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization",
    }
    return gateway.request("OPTIONS", PROFILE, headers=asked)


def test_a_page_of_an_allowed_origin_may_call(start: Start, users: UserService, token: str) -> None:
    gateway = start(CORS_ALLOWED_ORIGINS="https://app.example.com, http://localhost:5173")

    asked = preflight(gateway, "http://localhost:5173")
    answer = gateway.get(PROFILE, token=token, headers={"Origin": "http://localhost:5173"})
    refused = gateway.get(PROFILE, headers={"Origin": "http://localhost:5173"})

    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert [answer.status, refused.status] == [200, 401]
    for response in (asked, answer, refused):
        assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Vary"] == "Origin"
    assert len(users.seen) == 1


@pytest.mark.parametrize("origin", ["https://evil.example.com", "https://app.example.com.evil.com", "null", "*"])
def test_a_page_of_another_origin_may_not(start: Start, token: str, origin: str) -> None:
    gateway = start(CORS_ALLOWED_ORIGINS="https://app.example.com")

    asked = preflight(gateway, origin)
    answer = gateway.get(PROFILE, token=token, headers={"Origin": origin})

    for response in (asked, answer):
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


def test_when_everybody_may_call_nobody_does_with_the_browsers_credentials(start: Start, token: str) -> None:
    gateway = start(CORS_ALLOWED_ORIGINS="*")

    answer = gateway.get(PROFILE, token=token, headers={"Origin": "https://anywhere.example.com"})

    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_what_a_service_says_about_origins_does_not_count(
    gateway: RunningGateway, users: UserService, token: str
) -> None:
    from gateway.testing.behaviours import answer as answering

    users.behaves = answering(200, Access_Control_Allow_Origin="*")

    got = gateway.get(PROFILE, token=token, headers={"Origin": "https://evil.example.com"})

    assert "Access-Control-Allow-Origin" not in got.headers


def test_an_address_that_asks_too_often_is_told_when_to_come_back(start: Start, users: UserService, token: str) -> None:
    gateway = start(GATEWAY_RATE_LIMIT="3")

    answers = [gateway.get(PROFILE, token=token) for _ in range(4)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["RateLimit-Policy"] == '"address";q=3;w=1'
    assert answers[0].headers["RateLimit"].startswith('"address";r=2;t=')
    assert (answers[3].error, answers[3].headers["Retry-After"]) == ("too_many_requests", "1")
    assert len(users.seen) == 3
    assert [gateway.get("/livez").status for _ in range(5)] == [200] * 5
    wait_until(lambda: gateway.get(PROFILE, token=token).status == 200)


def test_two_gateways_in_one_process_do_not_see_each_other(start: Start, users: UserService, token: str) -> None:
    one, other = start(GATEWAY_RATE_LIMIT="1"), start()
    users.stop()
    try:
        for _ in range(6):
            other.get(PROFILE, token=token)
    finally:
        users.start()
    other.stop.set()

    assert one.get(PROFILE, token=token).status == 200
    assert other.get(PROFILE, token=token).error == "circuit_open"
    assert (one.ready, other.ready) == (True, False)
    assert 'breaker_state{breaker="user-service"} 0.0' in one.get("/metrics").body.decode()
