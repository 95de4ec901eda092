import pytest

from gateway.routes import CLEANUP, DELIVERY, DEMO_ROUTES, ROUTES, TASK, USER, Access, Route
from gateway.routing import InvalidPath, RouteTable, Target
from service_chassis.aio import MethodNotAllowed
from service_chassis.errors import NotFound


@pytest.fixture
def table() -> RouteTable:
    return RouteTable(ROUTES)


def find(table: RouteTable, path: str, method: str = "GET") -> Route:
    return table.find(method, Target.parse(path))


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/api/v1/users", USER),
        ("/api/v1/users/", USER),
        ("/api/v1/users/profile", USER),
        ("/api/v1/users/7/history?page=2", USER),
        ("/api/v1/auth/sessions", USER),
        ("/api/v1/accounts/5", USER),
        ("/api/v1/accounts/5/members", USER),
        ("/api/v1/accounts/5/destinations", DELIVERY),
        ("/api/v1/accounts/5/logs", DELIVERY),
        ("/api/v1/notifications", USER),
        ("/.well-known/jwks.json", USER),
        ("/api/v1/tasks/alerts", TASK),
        ("/api/v1/cleanup/runs/7/undo", CLEANUP),
        ("/api/v1/reports/latest", CLEANUP),
        ("/api/v1/ingest", DELIVERY),
        ("/api/v1/destinations/1/test", DELIVERY),
        ("/api/v1/deliveries", DELIVERY),
        ("/api/v1/events/1", DELIVERY),
        ("/api/v1/templates", DELIVERY),
    ],
)
def test_a_path_belongs_to_the_service_that_owns_its_noun(table: RouteTable, path: str, service: str) -> None:
    assert find(table, path).service == service


@pytest.mark.parametrize(
    "path",
    [
        "/internal/revocations",
        "/api/v1/internal",
        "/api/v1",
        "/api/v2/users",
        "/api/v1/user",
        "/api/v1/usersx",
        "/api/v1/dead-letters",
        "/metrics/users",
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json/x",
        "/API/v1/users",
    ],
)
def test_what_is_not_in_the_table_is_not_found(table: RouteTable, path: str) -> None:
    with pytest.raises(NotFound):
        find(table, path)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/users/../../../internal/revocations",
        "/api/v1/users/%2e%2e/%2E%2E/internal",
        "/api/v1/users/.",
        "/api/v1/users/..%2f..%2finternal",
        "/api/v1/users%2f..%2f..%2finternal",
        "/api/v1/users/a%5cb",
        "/api/v1/users/a\\..\\b",
        "/api/v1//users",
        "//internal/revocations",
        "/api/v1/users//",
        "/api/v1/users/%00",
        "/api/v1/users/%0d%0aX-User-Id:1",
        "/api/v1/users/%zz",
        "/api/v1/users/%",
        "/api/v1/users/%ff",
        "/api/v1/users#/internal",
        "/api/v1/users/ü",
        "http://user-service/internal/revocations",
        "internal",
        "*",
        "",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(path: str) -> None:
    with pytest.raises(InvalidPath):
        Target.parse(path)


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/api/v1/users/", "/api/v1/users"),
        ("/api/v1/%75sers", "/api/v1/users"),
        ("/api/v1/users/J%C3%B6rg%20M", "/api/v1/users/J%C3%B6rg%20M"),
        ("/api/v1/users/%252e%252e", "/api/v1/users/%252e%252e"),
        ("/api/v1/users?email=a%40b&x=/../", "/api/v1/users?email=a%40b&x=/../"),
        ("/api/v1/users/a@b+c", "/api/v1/users/a@b+c"),
    ],
)
def test_the_service_gets_the_one_spelling_that_was_matched(path: str, canonical: str) -> None:
    assert str(Target.parse(path)) == canonical


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/users"),
        ("POST", "/api/v1/auth/login"),
        ("POST", "/api/v1/auth/refresh/"),
        ("POST", "/api/v1/auth/token"),
        ("POST", "/api/v1/auth/verify-email"),
        ("POST", "/api/v1/auth/password-reset"),
        ("POST", "/api/v1/auth/password-reset/confirm"),
        ("GET", "/.well-known/jwks.json"),
    ],
)
def test_these_need_no_token(table: RouteTable, method: str, path: str) -> None:
    assert find(table, path, method).access is Access.PUBLIC


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/users"),
        ("PUT", "/api/v1/users"),
        ("POST", "/api/v1/users/7/deactivate"),
        ("POST", "/api/v1/auth/logout"),
        ("POST", "/api/v1/auth/login/as/7"),
        ("POST", "/api/v1/auth/password-reset/all"),
        ("GET", "/api/v1/reports"),
        ("POST", "/api/v1/ingest"),
    ],
)
def test_everything_else_does(table: RouteTable, method: str, path: str) -> None:
    assert find(table, path, method).access is not Access.PUBLIC


def test_what_renews_a_session_is_never_repeated_under_a_key(table: RouteTable) -> None:
    assert not find(table, "/api/v1/auth/refresh", "POST").takes_key
    assert find(table, "/api/v1/users", "POST").takes_key


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "INTERNAL"])
def test_a_method_nobody_offers_is_not_allowed(table: RouteTable, method: str) -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        find(table, "/api/v1/users", method)

    assert refused.value.allowed == {"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"}


def test_mails_can_be_read_in_the_demo_alone(table: RouteTable) -> None:
    with pytest.raises(NotFound):
        find(table, "/demo/mail")

    route = find(RouteTable(ROUTES + DEMO_ROUTES), "/demo/mail")
    assert (route.service, route.access) == (DELIVERY, Access.PUBLIC)
    with pytest.raises(MethodNotAllowed):
        find(RouteTable(ROUTES + DEMO_ROUTES), "/demo/mail", "POST")
