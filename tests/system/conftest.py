"""Steward to test, in both ways to run; a test that asks for `system` runs once in each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running.cleanup import leave_none_open
from tests.running.embedded import Embedded
from tests.running.native import Native
from tests.running.steward import Steward

from service_chassis.testing.servers import Servers

EMBEDDED = pytest.param("embedded", id="embedded")
SERVERS = pytest.param("servers", id="servers", marks=pytest.mark.servers)


@pytest.fixture(scope="session", params=[EMBEDDED, SERVERS])
def _running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steward]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "embedded":
        with Embedded(folder) as system:
            yield system
        return
    servers: Servers = request.getfixturevalue("servers")
    with Native(folder, servers.postgres, servers.rabbitmq.url) as system:
        yield system


@pytest.fixture
def system(_running: Steward) -> Iterator[Steward]:
    """A running Steward that other tests use as well, so everybody in a test is somebody of its own."""
    yield _running
    leave_none_open(_running)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    """An embedded Steward of the test's own, which may be killed."""
    with Embedded(tmp_path / "embedded") as system:
        yield system


@pytest.fixture(scope="session")
def _native(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[Native]:
    with Native(tmp_path_factory.mktemp("native"), servers.postgres, servers.rabbitmq.url) as system:
        yield system


@pytest.fixture
def native(_native: Native) -> Iterator[Native]:
    """A Steward on servers whose processes may be stopped and killed, and run again for the next test."""
    yield _native
    _native.start(*_native.missing)
    leave_none_open(_native)
