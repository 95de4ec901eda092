import json
from collections.abc import Iterator

import pytest

from service_chassis.testing.waiting import wait_until
from tests.running.door import Door
from tests.running.in_process import InProcess, in_process
from tests.running.people import PASSWORD
from tests.running.steward import ADMIN

ANNA = {"email": "anna@example.com", "password": PASSWORD}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[InProcess, InProcess]]:
    """Two systems in this process."""
    folder = tmp_path_factory.mktemp("pair")
    with in_process(folder / "first") as first, in_process(folder / "second") as second:
        yield first, second


def test_two_systems_in_one_process_have_users_and_tokens_of_their_own(pair: tuple[InProcess, InProcess]) -> None:
    first, second = pair

    first.door.post("/api/v1/users", ANNA)
    token = sign_in(first.door, ANNA).token

    assert second.door.post("/api/v1/auth/login", ANNA).error == "invalid_credentials"
    assert second.door.showing(token).get("/api/v1/users").error == "invalid_token"
    emails = {user["email"] for user in sign_in(second.door, ADMIN).get("/api/v1/users").data}
    assert emails == {ADMIN["email"], "superuser@example.com"}


def test_two_systems_in_one_process_count_and_log_their_own_requests(pair: tuple[InProcess, InProcess]) -> None:
    first, second = pair
    before = answered(second.door)

    for number in range(3):
        first.door.post("/api/v1/auth/refresh", {"refresh_token": "nonsense"}, x_correlation_id=f"first-{number}")
    wait_until(lambda: lines(first, "first-2"))

    assert [bool(lines(first, f"first-{number}")) for number in range(3)] == [True] * 3
    assert [lines(second, f"first-{number}") for number in range(3)] == [[]] * 3
    assert answered(first.door) >= 3
    assert answered(second.door) == before


def sign_in(door: Door, who: dict[str, str]) -> Door:
    return door.showing(door.post("/api/v1/auth/login", who).data["access_token"])


def answered(door: Door) -> float:
    """Return how many refreshes the metrics have counted."""
    counted = [line for line in door.get("/metrics").text.splitlines() if line.startswith("http_requests_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in counted if 'route="/api/v1/auth/refresh"' in line)


def lines(system: InProcess, correlation_id: str) -> list[dict[str, object]]:
    parsed = [json.loads(line) for line in system.log.getvalue().splitlines() if line.startswith("{")]
    return [line for line in parsed if line["correlation_id"] == correlation_id]
