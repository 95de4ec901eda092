"""What every service owes its database: its migrations make exactly what its model maps."""

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from service_chassis.database import Database
from service_chassis.database.migrations import is_current
from service_chassis.messaging.tables import metadata


class MigrationsConformance:
    """Derive from it with the service's declarative base, and everything mapped, whose modules that loads."""

    base: Any
    mapped: tuple[Any, ...]

    def test_the_migrations_make_what_the_model_maps(self, database: Database, migrations: Path) -> None:
        with database.engine.connect() as connection:
            options = {"compare_type": True, "compare_server_default": True, "include_name": _is_the_services}
            context = MigrationContext.configure(connection, opts=options)
            differences = compare_metadata(context, [metadata, self.base.metadata])  # type: ignore[arg-type]  # It takes several, too.

        assert differences == []
        assert is_current(database, migrations)
        assert {cls.__tablename__ for cls in self.mapped} == set(self.base.metadata.tables)


def _is_the_services(name: str | None, kind: str, _: object) -> bool:
    """Pass over the tables in which alembic keeps how far a database has come."""
    return kind != "table" or not str(name).startswith("alembic_version")
