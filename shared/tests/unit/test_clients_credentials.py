import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from service_chassis.breaker import Breaker, BreakerRules
from service_chassis.clients import (
    Answer,
    ClientCredentials,
    Request,
    ServiceClient,
    UpstreamRefused,
    UpstreamUnavailable,
)
from service_chassis.clock import ManualClock
from service_chassis.testing.waiting import wait_until


class TokenEndpoint:
    """Grants token-1, token-2 and so on, unless told to fail or to wait."""

    def __init__(self) -> None:
        self.bodies: list[object] = []
        self.failure: Answer | Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def __call__(self, request: Request) -> Answer:
        self.bodies.append((request.method, request.url, json.loads(request.body or b"")))
        number = len(self.bodies)
        assert self.open.wait(10)
        if isinstance(self.failure, Exception):
            raise self.failure
        granted = {"success": True, "data": {"access_token": f"token-{number}", "expires_in": 100}}
        return self.failure or Answer(200, json.dumps(granted).encode())


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 5, 1, tzinfo=UTC))


@pytest.fixture
def endpoint() -> TokenEndpoint:
    return TokenEndpoint()


@pytest.fixture
def token(endpoint: TokenEndpoint, clock: ManualClock) -> ClientCredentials:
    client = ServiceClient(
        "http://users", breaker=Breaker("user-service", BreakerRules(failures=99)), transport=endpoint
    )
    return ClientCredentials(client, "task-service", "secret", now=lambda: clock.now().timestamp())


def test_a_token_is_fetched_once_and_used_until_most_of_its_life_is_over(
    token: ClientCredentials, endpoint: TokenEndpoint, clock: ManualClock
) -> None:
    assert [token(), token()] == ["token-1", "token-1"]
    clock.advance(timedelta(seconds=79))
    assert token() == "token-1"

    clock.advance(timedelta(seconds=1))

    assert token() == "token-2"
    asked = {"client_id": "task-service", "client_secret": "secret"}
    assert endpoint.bodies == [("POST", "http://users/api/v1/auth/token", asked)] * 2


def test_many_threads_fetch_one_token(token: ClientCredentials, endpoint: TokenEndpoint) -> None:
    endpoint.open.clear()

    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(token) for _ in range(8)]
        wait_until(lambda: endpoint.bodies)
        endpoint.open.set()
        tokens = {done.result(10) for done in waiting}

    assert tokens == {"token-1"}


def test_nobody_waits_for_a_renewal_while_the_old_token_lasts(
    token: ClientCredentials, endpoint: TokenEndpoint, clock: ManualClock
) -> None:
    token()
    clock.advance(timedelta(seconds=80))
    endpoint.open.clear()

    with ThreadPoolExecutor(1) as threads:
        renewing = threads.submit(token)
        wait_until(lambda: len(endpoint.bodies) == 2)
        assert token() == "token-1"
        endpoint.open.set()

        assert renewing.result(10) == "token-2"


@pytest.mark.parametrize("failure", [UpstreamUnavailable(), Answer(401, b'{"error":"invalid_client"}')])
def test_a_failed_renewal_does_no_harm_while_the_old_token_lasts(
    token: ClientCredentials, endpoint: TokenEndpoint, clock: ManualClock, failure: Answer | Exception
) -> None:
    token()
    endpoint.failure = failure
    clock.advance(timedelta(seconds=80))

    assert [token(), token()] == ["token-1", "token-1"]
    assert len(endpoint.bodies) == 2

    clock.advance(timedelta(seconds=20))
    with pytest.raises((UpstreamUnavailable, UpstreamRefused)):
        token()


def test_a_failed_renewal_is_tried_again_soon(
    token: ClientCredentials, endpoint: TokenEndpoint, clock: ManualClock
) -> None:
    token()
    endpoint.failure = UpstreamUnavailable()
    clock.advance(timedelta(seconds=80))
    token()
    endpoint.failure = None

    clock.advance(timedelta(seconds=1))

    assert token() == "token-3"
