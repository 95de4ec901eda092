"""Where a request comes from, when there are proxies in front."""

from collections.abc import Callable

import pytest

from gateway.testing import RunningGateway, UserService

LOGIN = "/api/v1/auth/login"
Start = Callable[..., RunningGateway]


def told(gateway: RunningGateway, users: UserService, **headers: str) -> tuple[str | None, str | None]:
    """Return the address and the scheme that the service is told."""
    gateway.post(LOGIN, body=b"{}", headers={name.replace("_", "-"): value for name, value in headers.items()})
    seen = users.seen[-1]
    return seen.header("X-Forwarded-For"), seen.header("X-Forwarded-Proto")


@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8"])
def test_nobody_is_believed_who_is_no_proxy_of_ours(start: Start, users: UserService, trusted: str) -> None:
    gateway = start(GATEWAY_TRUSTED_PROXIES=trusted)

    assert told(gateway, users, X_Forwarded_For="198.51.100.7", X_Forwarded_Proto="https") == ("127.0.0.1", "http")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.1, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("somebody", "127.0.0.1"),
        ("198.51.100.7, somebody, 10.1.2.3", "10.1.2.3"),
        ("", "127.0.0.1"),
    ],
)
def test_the_last_address_that_is_no_proxy_of_ours_counts(
    start: Start, users: UserService, forwarded: str, address: str
) -> None:
    gateway = start(GATEWAY_TRUSTED_PROXIES="127.0.0.0/8,10.0.0.0/8")

    assert told(gateway, users, X_Forwarded_For=forwarded)[0] == address


def test_a_line_the_client_wrote_itself_does_not_hide_the_one_that_a_proxy_added(
    start: Start, users: UserService
) -> None:
    gateway = start(GATEWAY_TRUSTED_PROXIES="127.0.0.1")
    lines = {"X-Forwarded-For": "192.0.2.1", "x-forwarded-for": "198.51.100.7"}

    gateway.post(LOGIN, body=b"{}", headers=lines)

    assert users.seen[-1].header("X-Forwarded-For") == "198.51.100.7"


def test_a_proxy_of_ours_says_which_scheme_the_client_used(start: Start, users: UserService) -> None:
    gateway = start(GATEWAY_TRUSTED_PROXIES="127.0.0.1")

    assert told(gateway, users, X_Forwarded_For="198.51.100.7", X_Forwarded_Proto="https")[1] == "https"
    assert told(gateway, users, X_Forwarded_For="198.51.100.7", X_Forwarded_Proto="gopher")[1] == "http"


def test_the_limit_counts_clients_and_not_the_proxy(start: Start, users: UserService) -> None:
    gateway = start(GATEWAY_TRUSTED_PROXIES="127.0.0.1", GATEWAY_RATE_LIMIT="1")

    answers = [
        gateway.post(LOGIN, body=b"{}", headers={"X-Forwarded-For": address}).status
        for address in ("198.51.100.1", "198.51.100.2", "198.51.100.1")
    ]

    assert answers == [200, 200, 429]
