"""The commands every service has, over a service that has nothing of its own."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from click import Group
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from service_chassis.cli import CONFIGURATION_ERROR, UNAVAILABLE, command_line
from service_chassis.clock import SystemClock
from service_chassis.database import Database
from service_chassis.logs import make_log
from service_chassis.metrics import Metrics
from service_chassis.runtime import Runtime
from service_chassis.service import Service
from service_chassis.settings import Environment
from service_chassis.testing.outage import database_away
from service_chassis.testing.plugin import POSTGRESQL, SQLITE
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
    return plain_commands(blank, lines, tmp_path)


def plain_commands(
    database: Database, lines: StringIO, folder: Path, unread_settings: tuple[str, ...] = (), **settings: str
) -> Group:
    """Return the command line of a service that has nothing of its own, with the settings of its processes."""
    migrations = folder / "migrations"
    (migrations / "versions").mkdir(parents=True)
    runtime = replace(Runtime.read(Environment({}), "plain-service", port=8000), **settings)  # type: ignore[arg-type]  # texts only

    def bootstrap(_: Mapping[str, str], registry: CollectorRegistry, __: threading.Event) -> Service:
        return Service(
            name="plain",
            runtime=runtime,
            log=make_log("plain", stream=lines),
            units=Units(database, UnitOfWork, SystemClock()),
            metrics=Metrics(registry, "plain"),
            migrations=migrations,
            make_web=unwanted,
            make_worker=unwanted,
            unread_settings=unread_settings,
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


# A worker waits for a server; a file that is not there it makes.
@pytest.mark.parametrize("blank_database_url", [POSTGRESQL], indirect=True)
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


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    return tmp_path / "nowhere" / "plain.db"


@pytest.fixture
def misplaced(nowhere: Path, tmp_path: Path, lines: StringIO) -> Iterator[Group]:
    """The command line of a service whose database is not where its settings say."""
    database = Database(f"sqlite:///{nowhere}")
    yield plain_commands(database, lines, tmp_path)
    database.close()


@pytest.mark.parametrize("arguments", [["outbox", "status"], ["dead-letters", "list"]], ids=" ".join)
def test_a_command_makes_no_database_where_it_finds_none(misplaced: Group, nowhere: Path, arguments: list[str]) -> None:
    """S3-20."""
    result = CliRunner().invoke(misplaced, arguments)

    assert result.exit_code == UNAVAILABLE
    assert str(nowhere) in result.stderr
    assert "STEWARD_DATA" in result.stderr
    assert not nowhere.parent.exists()


@pytest.mark.parametrize("arguments", [["migrate"], ["worker"]], ids=" ".join)
def test_what_is_to_serve_makes_its_database(misplaced: Group, nowhere: Path, arguments: list[str]) -> None:
    """S3-20."""
    CliRunner().invoke(misplaced, arguments)

    assert nowhere.exists()


@pytest.mark.parametrize("blank_database_url", [SQLITE], indirect=True)
def test_a_process_that_stays_names_the_settings_that_nobody_reads(
    blank: Database, lines: StringIO, tmp_path: Path
) -> None:
    """S1-09."""
    commands = plain_commands(blank, lines, tmp_path, unread_settings=("PLAIN_TYPO",))

    CliRunner().invoke(commands, ["outbox", "status"])
    assert "PLAIN_TYPO" not in lines.getvalue()
    CliRunner().invoke(commands, ["worker"])
    assert "PLAIN_TYPO" in lines.getvalue()


def test_a_worker_without_a_broker_is_refused_as_a_wrong_setting(
    blank: Database, lines: StringIO, tmp_path: Path
) -> None:
    result = CliRunner().invoke(plain_commands(blank, lines, tmp_path, broker_url=""), ["worker"])

    assert result.exit_code == CONFIGURATION_ERROR
    assert result.stderr == "A worker needs BROKER_URL.\n"
