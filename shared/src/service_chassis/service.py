"""A service as its bootstrap puts it together: what web, worker, CLI and tests work with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask

from service_chassis.database import Database
from service_chassis.database.migrations import migrate
from service_chassis.logs import Log
from service_chassis.metrics import Metrics
from service_chassis.runtime import Runtime
from service_chassis.unit_of_work import Units
from service_chassis.worker import Worker


@dataclass(frozen=True, slots=True)
class Service:
    """One service, wired; `web` and `worker` are made when a process needs them."""

    name: str
    runtime: Runtime
    log: Log
    units: Units[Any]
    metrics: Metrics
    migrations: Path
    make_web: Callable[[], Flask]
    make_worker: Callable[[], Worker]
    seed: Callable[[], None] = lambda: None
    parts: Any = None
    """What the service's own commands work with besides the units of work."""
    unread_settings: tuple[str, ...] = ()
    """What is set under names like this service's own, and nobody reads."""

    @property
    def database(self) -> Database:
        return self.units.database

    def migrate(self) -> list[str]:
        """Bring the database up to date and put in what must be there from the start; return what ran."""
        ran = migrate(self.database, self.migrations)
        self.seed()
        return ran

    def warn_of_unread_settings(self) -> None:
        """Name what is set in vain, such as a misspelt setting, to whoever starts a process that stays."""
        if self.unread_settings:
            self.log.warning("settings_not_read", names=list(self.unread_settings))

    def close(self) -> None:
        """Give up the database's connections."""
        self.database.close()
