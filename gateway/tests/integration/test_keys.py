from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gateway.testing import Issuer, RunningGateway, SigningKey, UserService
from service_chassis.testing.waiting import wait_until

PROFILE = "/api/v1/users/profile"


def test_without_keys_the_gateway_is_alive_but_not_ready(start: Any, users: UserService, token: str) -> None:
    users.publishes_keys = False
    gateway = start(ready=False)

    wait_until(lambda: users.key_fetches)
    refusal = gateway.get("/readyz")
    answer = gateway.get(PROFILE, token=token)

    assert gateway.get("/livez").status == 200
    assert (refusal.status, refusal.error) == (503, "not_ready")
    assert "keys" in refusal.json["data"]["errors"]
    assert (answer.status, answer.error) == (503, "keys_unavailable")


def test_once_there_are_keys_it_becomes_ready_by_itself(start: Any, users: UserService, token: str) -> None:
    users.publishes_keys = False
    gateway = start(ready=False)
    wait_until(lambda: users.key_fetches)

    users.publishes_keys = True

    wait_until(lambda: gateway.ready)
    assert gateway.get(PROFILE, token=token).status == 200


def test_with_the_issuer_away_known_keys_go_on_serving(
    gateway: RunningGateway, users: UserService, issuer: Issuer
) -> None:
    users.publishes_keys = False

    # Tokens not seen before, so that nothing of it comes from memory.
    statuses = {gateway.get(PROFILE, token=issuer.token()).status for _ in range(5)}

    assert statuses == {200}
    assert gateway.ready


def test_a_key_the_issuer_has_just_begun_to_use_costs_one_fetch(
    start: Any, users: UserService, issuer: Issuer, signing_keys: tuple[SigningKey, SigningKey]
) -> None:
    users.publishes_keys = False
    gateway = start(ready=False)
    wait_until(lambda: users.key_fetches)
    issuer.keys = list(signing_keys)
    users.publishes_keys = True
    before = users.key_fetches

    with ThreadPoolExecutor(8) as clients:
        tokens = [issuer.token(signing_keys[1]) for _ in range(8)]
        statuses = set(clients.map(lambda token: wait_for_keys(gateway, token), tokens))

    assert statuses == {200}
    assert users.key_fetches == before + 1


def wait_for_keys(gateway: RunningGateway, token: str) -> int:
    return wait_until(lambda: (status := gateway.get(PROFILE, token=token).status) != 503 and status)


def test_a_flood_of_unknown_keys_neither_reaches_the_issuer_nor_stops_anybody(
    gateway: RunningGateway, users: UserService, issuer: Issuer
) -> None:
    before = users.key_fetches

    with ThreadPoolExecutor(8) as clients:
        flood = [issuer.token(kid=f"unknown-{number}") for number in range(100)]
        refused = clients.map(lambda token: gateway.get(PROFILE, token=token).error, flood)
        good = clients.map(lambda token: gateway.get(PROFILE, token=token).status, [issuer.token() for _ in range(20)])

    assert set(refused) == {"invalid_token"}
    assert set(good) == {200}
    assert users.key_fetches <= before + 1


def test_a_key_by_the_name_of_a_path_is_not_looked_for(gateway: RunningGateway, issuer: Issuer) -> None:
    answer = gateway.get(PROFILE, token=issuer.token(kid="../../etc/passwd"))

    assert (answer.status, answer.error) == (401, "invalid_token")
