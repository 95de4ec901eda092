"""The pytest plugin of every package: databases, brokers and a clock, each test on each engine.

A test that asks for `database_url`, `database`, `broker_url` or `broker` runs once per kind. What needs a server is
marked `servers`, so `-m "not servers"` is the part that runs anywhere. A service overrides `migrations`.
"""

import os
import secrets
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest

pytest.register_assert_rewrite("service_chassis.testing.conformance")

from service_chassis.clock import ManualClock  # noqa: E402  # Assertions are rewritten only in what is imported later.
from service_chassis.database import Database  # noqa: E402
from service_chassis.messaging.broker import Broker  # noqa: E402
from service_chassis.messaging.connect import connect  # noqa: E402
from service_chassis.messaging.topology import Topology  # noqa: E402
from service_chassis.testing.conformance.backbone import Backbone  # noqa: E402
from service_chassis.testing.databases import Databases, sqlite_url  # noqa: E402
from service_chassis.testing.servers import Servers  # noqa: E402

SQLITE = pytest.param("sqlite", id="sqlite")
POSTGRESQL = pytest.param("postgresql", id="postgresql", marks=pytest.mark.servers)
RABBITMQ = pytest.param("rabbitmq", id="rabbitmq", marks=pytest.mark.servers)

only_sqlite = pytest.mark.parametrize("database_url", [SQLITE], indirect=True)
only_postgresql = pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
only_rabbitmq = pytest.mark.parametrize("broker_url", [RABBITMQ], indirect=True)

any_database = only_sqlite
"""For what needs a database and does not depend on which."""
any_broker = pytest.mark.parametrize("broker_url", [SQLITE], indirect=True)
"""For what needs a broker and does not depend on which."""


def pytest_configure() -> None:
    # The same examples in every run: a red build is about the change it tests.
    hypothesis.settings.register_profile("steward", derandomize=True, deadline=None, database=None)
    hypothesis.settings.load_profile("steward")


@pytest.fixture(autouse=True)
def _unit_tests_open_no_sockets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "/tests/unit/" in request.path.as_posix():
        monkeypatch.setattr(socket.socket, "connect", _refuse)
        monkeypatch.setattr(socket.socket, "connect_ex", _refuse)


def _refuse(*_: Any) -> NoReturn:
    pytest.fail("Unit tests open no sockets; what needs one is an integration test.")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of the session; each is found or started when it is first asked for."""
    with Servers(os.environ) as servers:
        yield servers


@pytest.fixture(scope="session")
def migrations() -> Path | None:
    """The folder of a service's own migrations."""
    return None


@pytest.fixture(scope="session")
def databases(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases(servers, tmp_path_factory.mktemp("databases"))


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def blank_database_url(request: pytest.FixtureRequest, tmp_path: Path, servers: Servers) -> Iterator[str]:
    """The URL of a database without any table."""
    if request.param == "sqlite":
        # A folder of its own, which can be taken away.
        (tmp_path / "database").mkdir()
        yield sqlite_url(tmp_path / "database" / "database.db")
        return
    url = servers.postgres.create_database("test")
    yield url
    servers.postgres.drop_database(url)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, databases: Databases, migrations: Path | None
) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    if request.param == "sqlite":
        yield databases.sqlite(tmp_path / "database" / "database.db", migrations)
        return
    url = databases.postgresql(migrations)
    yield url
    databases.give_back(url, migrations)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture(params=[SQLITE, RABBITMQ])
def broker_url(
    request: pytest.FixtureRequest, tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of a broker where nothing is declared yet; what this process declares there is removed at the end."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "broker.db")
        return
    # The client library is needed where RabbitMQ is.
    from service_chassis.messaging.rabbitmq import RabbitMQ

    declared: list[Topology] = []
    declare = RabbitMQ.declare

    def declare_and_remember(broker: RabbitMQ, topology: Topology) -> frozenset[str]:
        declared.append(topology)
        return declare(broker, topology)

    monkeypatch.setattr(RabbitMQ, "declare", declare_and_remember)
    url = f"{servers.rabbitmq.url}?namespace=test-{secrets.token_hex(6)}"
    yield url
    RabbitMQ(url).delete(sum(declared, Topology()))


@pytest.fixture
def broker(broker_url: str) -> Iterator[Broker]:
    broker = connect(broker_url, name="tests")
    yield broker
    broker.close()


@pytest.fixture
def backbone(database: Database, broker: Broker, clock: ManualClock) -> Iterator[Backbone]:
    """A sample service on every combination of database and broker."""
    backbone = Backbone(database, broker, clock)
    yield backbone
    backbone.stop.set()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at noon of some day and moves when the test says so."""
    return ManualClock(datetime(2030, 1, 15, 12, tzinfo=UTC))
