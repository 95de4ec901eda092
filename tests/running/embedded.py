"""Steward in one process on SQLite, as `make run` starts it."""

from collections.abc import Mapping
from pathlib import Path

from service_chassis.testing.servers.process import free_port
from tests.running.programs import Program
from tests.running.steward import Steward

PROCESS = "devstack"


class Embedded(Steward):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = free_port()
        self._data = folder / "data"

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def services(self) -> Mapping[str, str]:
        started = [line for line in self.programs[PROCESS].lines() if line["event"] == "web_started"]
        return {line["service"]: line["address"] for line in started}

    @property
    def names(self) -> tuple[str, ...]:
        return (PROCESS,)

    @property
    def process(self) -> Program:
        return self.programs[PROCESS]

    def _command(self, _: str) -> tuple[list[object], Mapping[str, str]]:
        return ["-m", "devstack", "run", "--port", self._port, "--data", self._data], {}

    def _environment(self, service: str) -> dict[str, str]:
        return {"STEWARD_DATA": str(self._data), "DATABASE_URL": f"sqlite:///{self._data / service}.db"}

    def _is_ready(self) -> bool:
        return "is ready at" in self.process.text()
