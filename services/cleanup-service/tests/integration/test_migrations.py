from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cleanup_service.model import known_user, run
from cleanup_service.model.tables import Entity
from service_chassis.database import Database
from service_chassis.database.migrations import is_current
from service_chassis.messaging.tables import metadata

MAPPED = (known_user.KnownUser, known_user.Watermark, run.Run, run.Member)
"""Naming them loads their modules, so that the metadata is complete."""


def test_the_migrations_make_what_the_model_maps(database: Database, migrations: Path) -> None:
    with database.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": of_the_service}
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, [metadata, Entity.metadata])

    assert differences == []
    assert is_current(database, migrations)
    assert {cls.__tablename__ for cls in MAPPED} == set(Entity.metadata.tables)


def of_the_service(name: str | None, kind: str, _: object) -> bool:
    """Pass over the tables in which alembic keeps how far a database has come."""
    return kind != "table" or not str(name).startswith("alembic_version")
