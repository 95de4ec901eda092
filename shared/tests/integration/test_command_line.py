"""The commands every service has, over a service that has nothing of its own."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
from click import Group
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from service_chassis.cli import UNAVAILABLE, command_line
from service_chassis.clock import SystemClock
from service_chassis.database import Database
from service_chassis.logs import make_log
from service_chassis.metrics import Metrics
from service_chassis.runtime import Runtime
from service_chassis.service import Service
from service_chassis.settings import Environment
from service_chassis.testing.outage import database_away
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import UnitOfWork, Units
from service_chassis.worker import Worker


class Reached(Exception):
    """The command came as far as making its worker."""


@pytest.fixture
def blank(blank_database_url: str) -> Iterator[Database]:
    database = Database(blank_database_url)
    yield database
    database.close()


@pytest.fixture
def lines() -> StringIO:
    return StringIO()


@pytest.fixture
def commands(blank: Database, lines: StringIO, tmp_path: Path) -> Group:
    migrations = tmp_path / "migrations"
    (migrations / "versions").mkdir(parents=True)

    def bootstrap(_: Mapping[str, str], registry: CollectorRegistry, __: threading.Event) -> Service:
        return Service(
            name="plain",
            runtime=Runtime.read(Environment({}), "plain-service", port=8000),
            log=make_log("plain", stream=lines),
            units=Units(blank, UnitOfWork, SystemClock()),
            metrics=Metrics(registry, "plain"),
            migrations=migrations,
            make_web=unwanted,
            make_worker=unwanted,
        )

    return command_line(bootstrap, "A service with nothing of its own.")


def unwanted() -> Worker:
    raise Reached


def test_a_command_without_its_database_says_so_and_ends(
    commands: Group, blank: Database, blank_database_url: str
) -> None:
    with database_away(blank, blank_database_url):
        result = CliRunner().invoke(commands, ["outbox", "status"])

    assert result.exit_code == UNAVAILABLE
    assert result.stderr.startswith("The database is not available: ")


def test_a_worker_that_starts_before_its_database_waits_for_it(
    commands: Group, blank: Database, blank_database_url: str, lines: StringIO
) -> None:
    away = threading.Event()

    def outage() -> None:
        with database_away(blank, blank_database_url):
            away.set()
            wait_until(lambda: "database_awaited" in lines.getvalue())

    with ThreadPoolExecutor() as pool:
        ended = pool.submit(outage)
        assert away.wait(10)
        result = CliRunner().invoke(commands, ["worker"])

    assert ended.exception() is None
    assert isinstance(result.exception, Reached)
