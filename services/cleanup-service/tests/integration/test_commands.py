"""The command that does one run: C-9."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cleanup_service.__main__ import main
from cleanup_service.config import Settings
from cleanup_service.model.policy import Policy
from cleanup_service.model.run import Trigger
from cleanup_service.persistence.unit_of_work import UnitOfWork
from cleanup_service.usecases import runs
from service_chassis.testing.plugin import any_database
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import Units

YEARS = 5_000
"""Days without activity; the command reads the real clock."""

pytestmark = any_database


@pytest.fixture
def invoke(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return lambda *options: CliRunner().invoke(main, ["cleanup_inactive_users", *options])


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do what other processes do while the command waits."""
    thread = threading.Thread(target=work)
    thread.start()
    yield
    thread.join(30)
    assert not thread.is_alive()


def advance(units: Units[UnitOfWork], policy: Policy) -> None:
    more = True
    while more:
        with units.write() as uow:
            more = runs.advance(uow, policy)


def is_open(units: Units[UnitOfWork]) -> bool:
    with units.read() as uow:
        return runs.is_one_open(uow)


def test_one_run_goes_to_its_end_and_its_counts_are_printed(
    invoke: Callable[..., Result], units: Units[UnitOfWork], policy: Policy, user_service: Any
) -> None:
    anna, *_ = user_service.has(YEARS, count=3)
    user_service.has(days_inactive=0)

    def work() -> None:
        wait_until(lambda: is_open(units))
        user_service.says_where_it_is()
        advance(units, policy)
        user_service.answers({anna: "active_since_plan"})
        advance(units, policy)

    with meanwhile(work):
        done = invoke("--json")

    assert done.exit_code == 0, done.output
    counts = json.loads(done.stdout)
    assert counts.pop("run")
    assert counts == {
        "status": "completed",
        "candidates": 3,
        "deactivated": 2,
        "refused": 1,
        "failed": 0,
        "active_users_remaining": 2,
    }


def test_a_run_that_takes_longer_than_one_waits_for_goes_on(
    invoke: Callable[..., Result], units: Units[UnitOfWork]
) -> None:
    done = invoke("--within", "0")

    assert done.exit_code == 75
    assert "planned: 0 candidates" in done.stdout
    assert is_open(units)


def test_a_plan_that_needs_approval_is_left_to_a_person(
    invoke: Callable[..., Result],
    env: dict[str, str],
    units: Units[UnitOfWork],
    user_service: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLEANUP_BREAKER_USERS", "1")
    careful = Settings.read({**env, "CLEANUP_BREAKER_USERS": "1"}).policy
    user_service.has(YEARS, count=3)

    def work() -> None:
        wait_until(lambda: is_open(units))
        user_service.says_where_it_is()
        advance(units, careful)

    with meanwhile(work):
        done = invoke()

    assert done.exit_code == 75
    assert "awaiting_approval: 3 candidates, 0 deactivated" in done.stdout


def test_while_a_run_is_in_progress_no_other_begins(
    invoke: Callable[..., Result], units: Units[UnitOfWork], policy: Policy
) -> None:
    with units.write() as uow:
        runs.start(uow, policy, Trigger.SCHEDULE)

    done = invoke()

    assert done.exit_code == 1
    assert "Error: " in done.output
