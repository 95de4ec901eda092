"""A whole running Steward: in one process on files, or as the processes of production on real servers.

What can be done with it is the same in both; which one it is, only the fixtures know.
"""

import json
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

from sqlalchemy import NullPool, create_engine, make_url, text

from service_chassis.testing.servers.process import Guard
from service_chassis.testing.waiting import wait_until
from tests.running.door import Door
from tests.running.people import PASSWORD, Person, write_csv
from tests.running.programs import Program, inherited

USER, CLEANUP, TASK, DELIVERY = "user-service", "cleanup-service", "task-service", "delivery-service"
RUNS = "/api/v1/cleanup/runs"
TASKS = "/api/v1/tasks"
ADMIN = {"email": "admin@example.com", "password": "adminpass"}
SETTINGS = {
    # Hashing that takes its time is for people who guess passwords; the tests would wait for it hundreds of times.
    "ARGON2_MEMORY_KIB": "8",
    "ARGON2_PASSES": "1",
    # No run that a test did not ask for.
    "CLEANUP_INTERVAL_SECONDS": "86400",
    # No sweep that a test did not ask for.
    "MISSED_TASK_INTERVAL_SECONDS": "86400",
    # A run waits for the next watermark before it plans.
    "USER_WATERMARK_SECONDS": "0.2",
    # A service that was away is asked again at once when it is back.
    "GATEWAY_BREAKER_SECONDS": "1",
}
STARTS_WITHIN = 30.0
RUN_WITHIN = 60.0


class Steward(ABC):
    """Started by `with`, and ended with everything it has left running."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._guard: Guard | None = None
        self._admin_token: str | None = None
        self.programs: dict[str, Program] = {}

    @property
    @abstractmethod
    def gateway(self) -> str:
        """The address everybody uses."""

    @property
    @abstractmethod
    def services(self) -> Mapping[str, str]:
        """The addresses nobody outside should reach, by service."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The processes it consists of."""

    @property
    def missing(self) -> list[str]:
        """Return the names of the processes that have ended."""
        return [name for name, program in self.programs.items() if not program.alive]

    @abstractmethod
    def _command(self, name: str) -> tuple[list[object], Mapping[str, str]]:
        """Return the arguments and the environment of a process."""

    @abstractmethod
    def _environment(self, service: str) -> dict[str, str]:
        """Return the settings by which a service finds its database and the broker."""

    @abstractmethod
    def _is_ready(self) -> bool: ...

    def start(self, *names: str) -> None:
        """Start the named processes and wait until everything can be used."""
        for name in names:
            self.launch(name)
        wait_until(self._up, STARTS_WITHIN, every=0.05)

    def launch(self, name: str) -> Program:
        """Start a process and wait for nothing."""
        if self._guard is None:
            self._guard = Guard(self._folder / "guarded")
        arguments, env = self._command(name)
        program = Program(arguments, SETTINGS | env, self._folder / f"{name}.log", self._guard)
        self.programs[name] = program
        return program

    def close(self) -> None:
        if self._guard is not None:
            self._guard.end()
            self._guard = None

    def __enter__(self) -> Self:
        try:
            self.start(*self.names)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def door(self) -> Door:
        return Door(self.gateway)

    @property
    def admin(self) -> Door:
        if self._admin_token is None:
            self._admin_token = self.sign_in(**ADMIN).token
        return self.door.showing(self._admin_token)

    def register(self, email: str, role: str) -> None:
        """Let somebody register, and the admin give a role."""
        user = self.door.post("/api/v1/users", {"email": email, "password": PASSWORD}).data["user"]
        assert (
            self.admin.send("PATCH", f"/api/v1/users/{user['id']}", json.dumps({"role": role}).encode()).status == 200
        )

    def sign_in(self, email: str, password: str = PASSWORD) -> Door:
        """Sign somebody in and return the gateway as that one sees it."""
        answer = self.door.post("/api/v1/auth/login", {"email": email, "password": password})
        return self.door.showing(answer.data["access_token"])

    def run_command(self, service: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command of a service as an operator would, beside the running system."""
        env = inherited() | SETTINGS | self._environment(service)
        command = [sys.executable, "-m", service.replace("-", "_"), *map(str, arguments)]
        return subprocess.run(command, env=env, cwd=self._folder, capture_output=True, text=True, check=False)

    def take_in(self, people: Iterable[Person]) -> dict[str, Any]:
        """Import people and return what the command says it did."""
        file = write_csv(self._folder / "import.csv", people)
        done = self.run_command(USER, "import-users", file)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def rows(self, service: str, query: str, **values: object) -> list[Any]:
        """Ask a service's database."""
        url = make_url(self._environment(service)["DATABASE_URL"])
        driver = "postgresql+psycopg" if url.get_backend_name() == "postgresql" else "sqlite"
        engine = create_engine(url.set(drivername=driver), poolclass=NullPool)
        with engine.connect() as connection:
            return list(connection.execute(text(query), values))

    def value(self, service: str, query: str, **values: object) -> Any:
        return self.rows(service, query, **values)[0][0]

    def events(self, service: str, event_type: str) -> list[dict[str, Any]]:
        """Return the envelopes of a type that a service has written to its outbox, in order."""
        query = "SELECT body FROM outbox WHERE routing_key = :type ORDER BY seq"
        bodies = [json.loads(row.body) for row in self.rows(service, query, type=event_type)]
        return [event for body in bodies for event in (body if isinstance(body, list) else [body])]

    def log(self) -> list[dict[str, Any]]:
        """Return the structured lines of the processes that run."""
        return [line for program in self.programs.values() for line in program.lines()]

    def _up(self) -> bool:
        dead = [str(program.last_lines()) for program in self.programs.values() if not program.alive]
        assert not dead, "\n".join(dead)
        return self._is_ready()


def answers(url: str) -> bool:
    """Say whether an address answers that all is well."""
    base, _, path = url.rpartition("/")
    with suppress(OSError, HTTPException):
        return Door(base).get(f"/{path}").status == 200
    return False
