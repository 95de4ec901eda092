"""`Authorization: Token ...`: exchanged at the gateway, so that services see access tokens only."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import jwt
import pytest

from gateway.testing import Issuer, RunningGateway, UserService
from service_chassis.testing.waiting import wait_until

PROFILE = "/api/v1/users/profile"
OPAQUE = {"Authorization": "Token 4f9a1c"}


@pytest.fixture
def known(users: UserService, issuer: Issuer) -> str:
    """The access token that the opaque one stands for."""
    users.opaque_tokens["4f9a1c"] = issuer.token()
    return users.opaque_tokens["4f9a1c"]


def test_the_service_gets_the_access_token_an_opaque_one_stands_for(
    gateway: RunningGateway, users: UserService, known: str
) -> None:
    answer = gateway.get(PROFILE, headers=OPAQUE)

    assert answer.status == 200
    assert users.seen[-1].header("Authorization") == f"Bearer {known}"


def test_an_opaque_token_is_exchanged_once_for_many_requests(
    gateway: RunningGateway, users: UserService, known: str
) -> None:
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: gateway.get(PROFILE, headers=OPAQUE).status, range(20)))

    assert answers == [200] * 20
    assert users.exchanges == 1


def test_an_opaque_token_whose_session_ended_is_refused_while_it_is_still_remembered(
    gateway: RunningGateway, issuer: Issuer, known: str
) -> None:
    assert gateway.get(PROFILE, headers=OPAQUE).status == 200
    issuer.end(session_of(known))

    answer = wait_until(lambda: (found := gateway.get(PROFILE, headers=OPAQUE)).status == 401 and found, within=5)

    assert answer.error == "session_ended"


def session_of(token: str) -> UUID:
    return UUID(jwt.decode(token, options={"verify_signature": False})["sid"])


def test_an_unknown_opaque_token_is_refused_and_not_remembered(
    gateway: RunningGateway, users: UserService, issuer: Issuer
) -> None:
    refused = gateway.get(PROFILE, headers=OPAQUE)
    users.opaque_tokens["4f9a1c"] = issuer.token()

    assert (refused.status, refused.error) == (401, "invalid_token")
    assert gateway.get(PROFILE, headers=OPAQUE).status == 200


def test_a_public_path_takes_an_opaque_token_too(gateway: RunningGateway, users: UserService, known: str) -> None:
    assert gateway.post("/api/v1/users", body=b"{}", headers=OPAQUE).status == 200
    assert users.seen[-1].header("Authorization") == f"Bearer {known}"


def test_while_user_service_is_away_an_opaque_token_cannot_be_judged(
    gateway: RunningGateway, users: UserService, known: str
) -> None:
    users.stop()

    answer = gateway.get(PROFILE, headers=OPAQUE)

    assert (answer.status, answer.error) == (503, "exchange_unavailable")
    assert answer.headers["Retry-After"] == "1"
    users.start()
    assert gateway.get(PROFILE, headers=OPAQUE).status == 200


@pytest.mark.parametrize("value", ["Token", "Token ", "Token a b", "Token ä".encode()])
def test_what_is_no_token_is_not_asked_about(gateway: RunningGateway, users: UserService, value: str | bytes) -> None:
    answer = gateway.get(PROFILE, headers={"Authorization": value})

    assert (answer.status, answer.error) == (401, "unauthenticated")
    assert users.exchanges == 0
