"""Servers that may be killed, and the rig on servers that may not."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service_chassis.database import Database
from service_chassis.database.migrations import migrate
from service_chassis.messaging.rabbitmq import RabbitMQ
from service_chassis.testing.databases import Databases
from service_chassis.testing.servers import Postgres, PrivatePostgres, PrivateRabbitMQ, Servers
from tests.faults import rig
from tests.faults.pair import Pair
from tests.faults.rig import CONSUMER, PRODUCER
from tests.running.native import Native

MakePair = Callable[[PrivatePostgres, PrivateRabbitMQ], Pair]


@pytest.fixture(scope="session")
def mortal_postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL to kill, and to start again."""
    with PrivatePostgres() as server:
        yield server


@pytest.fixture(scope="session")
def mortal_rabbitmq() -> Iterator[PrivateRabbitMQ]:
    """A RabbitMQ to kill, and to start again."""
    with PrivateRabbitMQ() as server:
        yield server


@pytest.fixture
def pair(tmp_path: Path, servers: Servers, databases: Databases) -> Iterator[Pair]:
    """The rig on servers that live, nothing of it started."""
    urls = {service: databases.postgresql(None) for service in (PRODUCER, CONSUMER)}
    broker_url = f"{servers.rabbitmq.url}?namespace=rig-{secrets.token_hex(6)}"
    pair = Pair(tmp_path, urls, broker_url)
    yield pair
    pair.close()
    RabbitMQ(broker_url).delete(rig.topology())
    for url in urls.values():
        databases.give_back(url, None)


@pytest.fixture
def pair_on(tmp_path: Path) -> Iterator[MakePair]:
    """Makes the rig on servers that will be killed."""

    def make(postgres: PrivatePostgres, rabbitmq: PrivateRabbitMQ) -> Pair:
        urls = {service: fresh(postgres) for service in (PRODUCER, CONSUMER)}
        pair = Pair(tmp_path, urls, f"{rabbitmq.url}?namespace=rig-{secrets.token_hex(6)}")
        stack.callback(pair.close)
        return pair

    with ExitStack() as stack:
        yield make


@pytest.fixture
def native(tmp_path: Path, servers: Servers) -> Iterator[Native]:
    """Steward on servers that live."""
    with Native(tmp_path / "steward", servers.postgres, servers.rabbitmq.url) as system:
        yield system


def fresh(postgres: PrivatePostgres) -> str:
    """Return the URL of a migrated database."""
    url = Postgres(postgres.url).create_database("rig")
    database = Database(url)
    migrate(database)
    database.close()
    return url
