"""Projections heal over HTTP: from a snapshot where the queue is new, and by a comparison at each start."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from service_chassis.testing.waiting import wait_until
from tests.running.embedded import Embedded
from tests.running.people import person
from tests.running.steward import CLEANUP, TASK, USER, Steward

WITHIN = 15.0
OWNED = "SELECT id, version FROM users"
HELD = "SELECT user_id, version FROM users"


@pytest.mark.parametrize("broker_is_lost", [True, False], ids=["queue is new", "queue is there"])
def test_whatever_was_lost_while_a_process_was_away_is_known_soon_after_it_starts(
    tmp_path: Path, *, broker_is_lost: bool
) -> None:
    with Embedded(tmp_path) as system:
        system.take_in([person(f"somebody{number}", days_away=1) for number in range(300)])
        wait_until(lambda: all(equal(system, service) for service in (CLEANUP, TASK)), WITHIN)
    for service in (CLEANUP, TASK):
        lose_users(tmp_path / "data" / f"{service}.db")
    if broker_is_lost:
        for file in (tmp_path / "data").glob("broker.db*"):
            file.unlink()

    with Embedded(tmp_path) as system:
        wait_until(lambda: all(equal(system, service) for service in (CLEANUP, TASK)), WITHIN)


def test_operators_compare_and_resync_beside_the_running_system(tmp_path: Path) -> None:
    with Embedded(tmp_path) as system:
        wait_until(lambda: equal(system, TASK), WITHIN)
        wait_until(lambda: compared(system, TASK), WITHIN)
        lose_users(tmp_path / "data" / f"{TASK}.db")

        assert command(system, "compare")["differences"] == {"missing": 1, "stale": 1}
        assert command(system, "compare", "--repair")["differences"] == {"missing": 1, "stale": 1}
        assert command(system, "compare")["differences"] == {}
        assert command(system, "resync") == {"resynced": ["users"]}


def equal(system: Steward, service: str) -> bool:
    return sorted(map(tuple, system.rows(USER, OWNED))) == sorted(map(tuple, system.rows(service, HELD)))


def compared(system: Steward, service: str) -> bool:
    """Say whether the comparison that follows a start is over."""
    return any(line["event"] == "projection_compared" and line["service"] == service for line in system.log())


def lose_users(file: Path) -> None:
    """Take away what was heard of one user, and the last that was heard of another."""
    with sqlite3.connect(file) as connection:
        first, second = connection.execute("SELECT user_id FROM users ORDER BY user_id LIMIT 2").fetchall()
        connection.execute("DELETE FROM users WHERE user_id = ?", first)
        connection.execute("UPDATE users SET version = 0 WHERE user_id = ?", second)
    connection.close()


def command(system: Embedded, *arguments: str) -> dict[str, object]:
    env = os.environ | system._environment(TASK) | {"USER_SERVICE_URL": system.services[USER]}
    arguments = (sys.executable, "-m", "task_service", *arguments)
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))
