"""Steward in containers that are up already, found through the engine they run on."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.running.steward import CLEANUP, DELIVERY, TASK, USER, Steward, answers

DATABASES = {
    USER: ("user_service", "demo-user-service", "steward_user_service"),
    CLEANUP: ("cleanup_service", "demo-cleanup-service", "steward_cleanup_service"),
    TASK: ("task_service", "demo-task-service", "steward_task_service"),
    DELIVERY: ("delivery_service", "demo-delivery-service", "steward_delivery_service"),
}
"""Role, password and database of each service: those of the demo profile."""
SPEAKERS = (
    "gateway",
    "user-web",
    "user-worker",
    "cleanup-web",
    "cleanup-worker",
    "task-web",
    "task-worker",
    "delivery-web",
    "delivery-worker",
)


class Composed(Steward):
    def __init__(self, folder: Path, project: str) -> None:
        """Use the containers of a project of compose."""
        super().__init__(folder)
        self._project = project

    @property
    def gateway(self) -> str:
        return f"http://{self._host('gateway')}:8000"

    @property
    def services(self) -> Mapping[str, str]:
        ports = {USER: 8001, TASK: 8002, CLEANUP: 8003, DELIVERY: 8004}
        webs = {service: service.replace("-service", "-web") for service in ports}
        return {service: f"http://{self._host(webs[service])}:{port}" for service, port in ports.items()}

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def log(self) -> list[dict[str, Any]]:
        """Return the structured lines of all containers of ours."""
        logs = [docker("logs", self._container(name)) for name in SPEAKERS]
        lines = [line for log in logs for line in (log.stdout + log.stderr).splitlines()]
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _command(self, name: str) -> tuple[list[object], Mapping[str, str]]:
        raise AssertionError(f"{name} is not ours to start.")

    def _environment(self, service: str) -> dict[str, str]:
        role, password, database = DATABASES[service]
        return {"DATABASE_URL": f"postgresql://{role}:{password}@{self._host('postgres')}:5432/{database}"}

    def _is_ready(self) -> bool:
        return answers(f"{self.gateway}/readyz")

    def _host(self, name: str) -> str:
        pattern = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "-f", pattern, self._container(name)).stdout.strip()

    def _container(self, name: str) -> str:
        labels = {"project": self._project, "service": name, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{label}={value}" for label, value in labels.items()]
        (container,) = docker("ps", "-q", *filters).stdout.split()
        return container


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)  # Wherever it is.
