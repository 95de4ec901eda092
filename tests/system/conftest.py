"""Steward to test, in each way to run; a test that asks for `system` runs once in each.

Containers are tested where TEST_COMPOSE_PROJECT names those that are up; see `make test-containers`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service_chassis.testing.servers import Servers
from tests.running.cleanup import leave_none_open
from tests.running.composed import Composed
from tests.running.embedded import Embedded
from tests.running.native import Native
from tests.running.steward import Steward

EMBEDDED = pytest.param("shared_embedded", id="embedded")
SERVERS = pytest.param("shared_native", id="servers", marks=pytest.mark.servers)
CONTAINERS = pytest.param("shared_composed", id="containers")
PROJECT = os.environ.get("TEST_COMPOSE_PROJECT")


@pytest.fixture(scope="session")
def shared_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(tmp_path_factory.mktemp("embedded")) as system:
        yield system


@pytest.fixture(scope="session")
def shared_native(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[Native]:
    with Native(tmp_path_factory.mktemp("native"), servers.postgres, servers.rabbitmq.url) as system:
        yield system


@pytest.fixture(scope="session")
def shared_composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    assert PROJECT is not None
    with Composed(tmp_path_factory.mktemp("composed"), PROJECT) as system:
        yield system


@pytest.fixture(params=[CONTAINERS] if PROJECT else [EMBEDDED, SERVERS])
def system(request: pytest.FixtureRequest) -> Iterator[Steward]:
    """A running Steward that other tests use as well, so everybody in a test is somebody of its own."""
    system: Steward = request.getfixturevalue(request.param)
    yield system
    leave_none_open(system)


@pytest.fixture
def native(shared_native: Native) -> Iterator[Native]:
    """The same on servers, for tests that stop processes of it; they run again for the next test."""
    yield shared_native
    shared_native.start(*shared_native.missing)
    leave_none_open(shared_native)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    """An embedded Steward of the test's own, which may be killed."""
    with Embedded(tmp_path / "embedded") as system:
        yield system
