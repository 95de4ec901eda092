"""From the first start on every service knows every user: nothing is published before all queues are bound."""

from pathlib import Path

import pytest

from service_chassis.testing.servers import Servers
from service_chassis.testing.waiting import wait_until
from tests.running.embedded import Embedded
from tests.running.native import Native
from tests.running.steward import CLEANUP, TASK, USER, Steward

WITHIN = 5.0
USERS = "SELECT count(*) FROM users"


@pytest.mark.parametrize(
    "starts",
    [pytest.param(5, id="a few"), pytest.param(100, id="many", marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
def test_each_first_start_of_the_embedded_process_tells_everybody_of_the_first_users(
    tmp_path: Path, starts: int
) -> None:
    for number in range(starts):
        with Embedded(tmp_path / str(number)) as system:
            knows_all_users(system, TASK)
            knows_all_users(system, CLEANUP)


@pytest.mark.servers
@pytest.mark.long
@pytest.mark.timeout(900)
def test_each_first_start_of_the_native_processes_tells_everybody_of_the_first_users(
    tmp_path: Path, servers: Servers
) -> None:
    for number in range(20):
        with Native(tmp_path / str(number), servers.postgres, servers.rabbitmq.url) as system:
            knows_all_users(system, TASK)
            knows_all_users(system, CLEANUP)


def knows_all_users(system: Steward, service: str) -> None:
    there = system.value(USER, USERS)
    assert there > 0
    wait_until(lambda: system.value(service, USERS) == there, WITHIN)
