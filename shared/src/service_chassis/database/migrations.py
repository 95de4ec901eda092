"""Migrations: the chassis's own tables first, then the service's, each with a version table of its own.

One process migrates at a time; others wait for it and then find nothing to do.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from service_chassis.database.engine import Database, DatabaseUnavailable, translated_errors

CHASSIS = Path(__file__).parent.parent / "migrations"
WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Migrations:
    """A folder of alembic revisions and the table that says how far a database has come in them."""

    folder: Path
    version_table: str

    def apply(self, connection: Connection) -> list[str]:
        """Bring the database to the newest revision; return the revisions that ran."""
        if not self.pending(connection):
            return []
        script = self._script()
        before = self._current(connection)

        def upgrade(revision: tuple[str, ...], _: MigrationContext) -> list[object]:
            return script._upgrade_revs("head", revision)  # type: ignore[arg-type, return-value]  # noqa: SLF001  # alembic's own documented recipe

        environment = EnvironmentContext(Config(), script, fn=upgrade)
        environment.configure(connection=connection, version_table=self.version_table, render_as_batch=True)
        with environment.begin_transaction():
            environment.run_migrations()
        return [revision.revision for revision in script.iterate_revisions("head", before or "base")]

    def pending(self, connection: Connection) -> bool:
        """Say whether the database is behind; one that a newer release has brought further is not."""
        current, script = self._current(connection), self._script()
        known = {revision.revision for revision in script.walk_revisions()}
        return current != script.get_current_head() and (current is None or current in known)

    def _script(self) -> ScriptDirectory:
        return ScriptDirectory(str(self.folder))

    def _current(self, connection: Connection) -> str | None:
        context = MigrationContext.configure(connection, opts={"version_table": self.version_table})
        return context.get_current_revision()


def all_migrations(service: Path | None) -> list[Migrations]:
    """Return the migrations of a service's database in the order they run in."""
    own = [Migrations(service, "alembic_version")] if service else []
    return [Migrations(CHASSIS, "alembic_version_chassis"), *own]


def migrate(database: Database, service: Path | None = None) -> list[str]:
    """Bring a database up to date; return the revisions that ran, oldest first."""
    ran: list[str] = []
    if not is_current(database, service):
        with _alone(database), database.migrating() as connection:
            for migrations in all_migrations(service):
                ran += reversed(migrations.apply(connection))
    return ran


def is_current(database: Database, service: Path | None = None) -> bool:
    """Say whether a database is up to date, without taking any lock."""
    with translated_errors(), database.read_engine.connect() as connection:
        return not any(migrations.pending(connection) for migrations in all_migrations(service))


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    lock = database.lock("migrate")
    deadline = time.monotonic() + WAIT
    try:
        while not lock.acquire():
            database.check()
            if time.monotonic() > deadline:
                raise DatabaseUnavailable("Another process has been migrating this database for a minute.")
            time.sleep(0.1)
        yield
    finally:
        lock.release()
