"""`python -m devstack native`, as a process of its own."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from devstack.native import SERVICES, database_url
from devstack.rabbitmq_definitions import clients
from service_chassis.messaging.rabbitmq import RabbitMQ
from service_chassis.messaging.topology import Topology
from service_chassis.testing.servers import Servers
from service_chassis.testing.servers.process import free_port
from service_chassis.testing.waiting import wait_until

pytestmark = pytest.mark.serial

ROOT = Path(__file__).parents[3]
NOBODY = "127.0.0.1:1"
UNAVAILABLE = 69


class Native:
    """The command, in a folder that has a Procfile."""

    def __init__(self, folder: Path, env: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "devstack", "native"],
                cwd=folder,
                env={**os.environ, **env},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def child(self, name: str) -> int:
        """Return the number of a process of the Procfile."""
        started = re.search(rf"{name} started \(pid=(\d+)\)", self.output)
        assert started
        return int(started[1])

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def env(servers: Servers) -> Iterator[dict[str, str]]:
    """Databases and names on the broker that nobody else uses."""
    name = f"native_{secrets.token_hex(6)}"
    database = urlunsplit(urlsplit(servers.postgres.url)._replace(path=f"/{name}"))
    broker = f"{servers.rabbitmq.url}?namespace={name}"
    yield {
        "DATABASE_URL": database,
        "BROKER_URL": broker,
        "REDIS_URL": servers.redis.url,
        "GATEWAY_PORT": str(free_port()),
    }
    RabbitMQ(broker).delete(sum((client.topology for client in clients()), Topology()))
    for service in SERVICES:
        servers.postgres.drop_database(database_url(database, service))


@pytest.mark.servers
def test_it_serves_until_told_to_stop(env: dict[str, str], tmp_path: Path) -> None:
    native = Native(ROOT, env, tmp_path / "log")
    try:
        wait_until(lambda: "ready" in native.output or native.process.poll() is not None, within=60)
        with urllib.request.urlopen(f"http://127.0.0.1:{env['GATEWAY_PORT']}/api/v1/health", timeout=10) as answer:
            assert answer.status == 200

        started = time.monotonic()
        native.process.terminate()

        assert native.process.wait(30) == 0, native.output
        assert time.monotonic() - started < 25
    finally:
        native.close()


@pytest.mark.servers
def test_the_end_of_one_process_is_the_end_of_all(env: dict[str, str], tmp_path: Path) -> None:
    sleeper = f"exec {sys.executable} -c 'import time; time.sleep(60)'"
    (tmp_path / "Procfile").write_text(f"user-worker: {sleeper}\ngateway: {sleeper}\n")
    native = Native(tmp_path, env, tmp_path / "log")
    try:
        wait_until(lambda: native.output.count("started") == 2)

        os.kill(native.child("user-worker"), signal.SIGKILL)

        assert native.process.wait(20) not in {0, UNAVAILABLE}
        assert "gateway stopped" in native.output
    finally:
        native.close()


def test_servers_that_are_not_there_are_named_without_their_passwords(tmp_path: Path) -> None:
    env = {
        "DATABASE_URL": f"postgresql://postgres:hidden@{NOBODY}/steward",
        "BROKER_URL": f"amqp://guest:hidden@{NOBODY}/",
        "REDIS_URL": f"redis://:hidden@{NOBODY}/0",
        "GATEWAY_PORT": str(free_port()),
    }
    native = Native(ROOT, env, tmp_path / "log")

    assert native.process.wait(30) == UNAVAILABLE
    assert all(f"{name}={NOBODY}" in native.output for name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL"))
    assert "hidden" not in native.output
    assert "Traceback" not in native.output
