"""The native run: the processes of the Procfile on this machine, against PostgreSQL, RabbitMQ and Redis."""

import http.client
import os
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import honcho.manager
import psycopg
from honcho.environ import parse_procfile
from psycopg import sql
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from devstack.credentials import with_gateway_secret, with_service_clients
from service_chassis.messaging.broker import BrokerUnavailable
from service_chassis.messaging.connect import connect
from service_chassis.messaging.topology import Topology

SERVICES = ("user", "cleanup", "task", "delivery")
SERVERS = {
    "DATABASE_URL": "postgresql://postgres@localhost:5432/steward",
    "BROKER_URL": "amqp://guest:guest@localhost:5672/",
    "REDIS_URL": "redis://localhost:6379/0",
}
"""Where the servers are unless the environment says otherwise; the database's name is the beginning of all names."""
ANSWERS_WITHIN = 3
STOP_WITHIN = 24
"""Seconds all processes get once the first has ended; each ends by itself in less."""
STOPPED = (130, 143)
"""What honcho returns after SIGINT and SIGTERM."""


class CannotStart(Exception):
    """Something outside is missing; the message says what."""


class Processes(honcho.manager.Manager):  # type: ignore[misc]  # honcho has no types
    """Runs processes until one ends or a signal comes, and then ends all; calls `started` once all run."""

    def __init__(self, started: Callable[[], None]) -> None:
        super().__init__()
        self._on_started = started

    def _start(self) -> None:
        super()._start()
        # A thread that ran any earlier would be there while honcho forks.
        threading.Thread(target=self._on_started, daemon=True).start()

    def terminate(self) -> None:
        # honcho fails on a signal that comes before the processes have told their numbers.
        if self._all_started():
            super().terminate()
        else:
            threading.Timer(0.1, self.terminate).start()


def run(env: Mapping[str, str], procfile: Path, port: int, announce: Callable[[], None]) -> int:
    """Run the processes until told to stop, and return the exit code; `announce` is called once they serve.

    Raises CannotStart.
    """
    env = {**SERVERS, **{name: value for name, value in env.items() if value}, "GATEWAY_PORT": str(port)}
    if not procfile.exists():
        raise CannotStart(f"There is no {procfile} here; run this in the root of the repository.")
    _check_port(port)
    _check_servers(env)
    for service in SERVICES:
        _create_database(database_url(env["DATABASE_URL"], service))
    _declare_topology(env["BROKER_URL"])
    env = with_gateway_secret(with_service_clients(env)) | addresses(env)
    honcho.manager.KILL_WAIT = STOP_WITHIN
    gateway, services = f"http://127.0.0.1:{port}", [env[f"{service.upper()}_SERVICE_URL"] for service in SERVICES]
    processes = Processes(lambda: _wait_until_ready(gateway, services, announce))
    for name, command in parse_procfile(procfile.read_text()).processes.items():
        processes.add_process(name, command, env=environment(name, env))
    processes.loop()
    return 0 if processes.returncode in STOPPED else processes.returncode or 1


def database_url(url: str, service: str) -> str:
    """Return the URL of one service's database: the given server and name, with the service behind it."""
    parsed = make_url(url)
    return _text(parsed.set(database=f"{parsed.database or 'steward'}_{service}_service"))


def addresses(env: Mapping[str, str]) -> dict[str, str]:
    """Return where each process listens and where the services find each other: as configured, else on free ports."""
    found: dict[str, str] = {}
    for service in map(str.upper, SERVICES):
        for variable in (f"{service}_SERVICE_BIND", f"{service}_WORKER_BIND"):
            found[variable] = env.get(variable) or f"127.0.0.1:{_free_port()}"
        port = found[f"{service}_SERVICE_BIND"].rpartition(":")[2]
        found[f"{service}_SERVICE_URL"] = env.get(f"{service}_SERVICE_URL") or f"http://127.0.0.1:{port}"
    return found


def environment(process: str, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of one process of the Procfile; a service's processes get the service's database."""
    own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"}
    service = process.partition("-")[0]
    if service in SERVICES:
        own["DATABASE_URL"] = database_url(env["DATABASE_URL"], service)
    return {**env, **own}


def _check_port(port: int) -> None:
    try:
        socket.create_server(("", port)).close()
    except OSError as error:
        raise CannotStart(f"Port {port} cannot be used: {error.strerror}. Choose another with GATEWAY_PORT.") from error


def _check_servers(env: Mapping[str, str]) -> None:
    checks = {"DATABASE_URL": _postgres_problem, "BROKER_URL": _broker_problem, "REDIS_URL": _redis_problem}
    problems = [
        f"{variable}={_shown(env[variable])} cannot be used: {problem}"
        for variable, check in checks.items()
        if (problem := check(env[variable]))
    ]
    if problems:
        raise CannotStart("\n".join([*problems, "Start what is missing, or set the variable to where it is."]))


def _postgres_problem(url: str) -> str | None:
    try:
        with _administering(make_url(url)):
            return None
    except (psycopg.Error, ArgumentError) as error:
        return str(error).strip()


def _broker_problem(url: str) -> str | None:
    try:
        connect(url, name="devstack").declare(Topology())
    except (BrokerUnavailable, ValueError) as error:
        return str(error)
    return None


def _declare_topology(url: str) -> None:
    """Declare every service's part before anything is published: an event does not reach a queue bound after it."""
    # The services bring their libraries along; what is missing should be told before.
    from devstack.rabbitmq_definitions import clients

    broker = connect(url, name="devstack")
    broker.declare(sum((client.topology for client in clients()), Topology()))
    broker.close()


def _redis_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        socket.create_connection((parts.hostname or "localhost", parts.port or 6379), ANSWERS_WITHIN).close()
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _create_database(url: str) -> None:
    parsed = make_url(url)
    with _administering(parsed) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (parsed.database,)).fetchone()
        if not known:
            create = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'"
            connection.execute(sql.SQL(create).format(sql.Identifier(parsed.database or "")))


def _administering(url: URL) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(_text(url.set(database="postgres")), autocommit=True, connect_timeout=ANSWERS_WITHIN)


def _wait_until_ready(gateway: str, services: Sequence[str], announce: Callable[[], None]) -> None:
    """Wait for the services first, because asking for them in vain fills the log."""
    while not all(map(_listens, services)):
        time.sleep(0.1)
    while not _answers(f"{gateway}/api/v1/health"):
        time.sleep(0.25)
    announce()


def _listens(origin: str) -> bool:
    parts = urlsplit(origin)
    with suppress(OSError), socket.create_connection((parts.hostname, parts.port), ANSWERS_WITHIN):
        return True
    return False


def _answers(url: str) -> bool:
    with suppress(OSError, http.client.HTTPException), urllib.request.urlopen(url, timeout=5):  # noqa: S310  # ours
        return True
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _text(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _shown(url: str) -> str:
    """Return the URL without its user and password."""
    return url.rpartition("@")[2]
