import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from service_chassis.database import Database, DatabaseUnavailable
from service_chassis.database import migrations as migrations_module
from service_chassis.database.migrations import is_current, migrate
from service_chassis.messaging.tables import metadata
from service_chassis.testing.outage import database_away
from service_chassis.testing.plugin import SQLITE

CHASSIS = ["chassis_0001", "chassis_0002"]
"""The revisions that every service has."""
REVISION = """
from alembic import op
import sqlalchemy as sa

revision = "{revision}"
down_revision = {before!r}


def upgrade():
    {change}
"""


@pytest.fixture
def blank(blank_database_url: str) -> Iterator[Database]:
    database = Database(blank_database_url)
    yield database
    database.close()


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """The folder of a service's migrations, with one in it."""
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    add(folder, "0001", None, 'op.create_table("owners", sa.Column("id", sa.Integer, primary_key=True))')
    return folder


def add(folder: Path, revision: str, before: str | None, change: str) -> None:
    content = REVISION.format(revision=revision, before=before, change=change)
    (folder / "versions" / f"{revision}.py").write_text(content)


def tables(database: Database) -> set[str]:
    with database.reading() as session:
        return set(inspect(session.connection()).get_table_names())


def test_the_migrations_lead_to_the_tables_the_code_describes(blank: Database) -> None:
    migrate(blank)

    with blank.reading() as session:
        options = {"compare_type": True, "version_table": "alembic_version_chassis"}
        context = MigrationContext.configure(session.connection(), opts=options)
        assert compare_metadata(context, metadata) == []


def test_a_second_run_finds_nothing_to_do(blank: Database, service: Path) -> None:
    assert not is_current(blank, service)

    assert migrate(blank, service) == [*CHASSIS, "0001"]

    assert is_current(blank, service)
    assert migrate(blank, service) == []


def test_what_was_added_later_runs_alone_and_in_order(blank: Database, service: Path) -> None:
    migrate(blank, service)
    add(service, "0002", "0001", 'op.add_column("owners", sa.Column("name", sa.Text))')
    add(service, "0003", "0002", 'op.add_column("owners", sa.Column("mail", sa.Text))')
    assert not is_current(blank, service)

    assert migrate(blank, service) == ["0002", "0003"]

    assert "owners" in tables(blank)


def test_a_database_of_a_newer_release_is_left_as_it_is(blank: Database, service: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(service, newer)
    add(newer, "0002", "0001", 'op.add_column("owners", sa.Column("name", sa.Text))')
    migrate(blank, newer)

    assert is_current(blank, service)
    assert migrate(blank, service) == []
    assert is_current(blank, newer)


def test_a_migration_that_fails_leaves_the_database_as_it_was(blank: Database, service: Path) -> None:
    add(service, "0002", "0001", 'op.execute("this is no SQL")')

    with pytest.raises(Exception, match="syntax"):
        migrate(blank, service)

    assert tables(blank) == set()


def test_of_two_at_once_one_runs_and_the_other_waits(blank: Database, blank_database_url: str, service: Path) -> None:
    other = Database(blank_database_url)
    held = other.lock("migrate")
    assert held.acquire()
    ran: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda database=database: ran.append(migrate(database, service)))
        for database in (blank, other)
    ]
    for thread in threads:
        thread.start()
    assert not any(thread.join(0.3) or not thread.is_alive() for thread in threads)
    assert tables(blank) == set()

    held.release()

    for thread in threads:
        thread.join(20)
    assert sorted(ran) == [[], [*CHASSIS, "0001"]]
    other.close()


def test_who_waits_too_long_says_so(blank: Database, blank_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations_module, "WAIT", 0)
    held = blank.lock("migrate")
    held.acquire()

    with pytest.raises(DatabaseUnavailable, match="Another process"):
        migrate(blank)

    held.release()


def test_a_database_that_is_away_is_reported_as_such(blank: Database, blank_database_url: str) -> None:
    with database_away(blank, blank_database_url), pytest.raises(DatabaseUnavailable) as raised:
        migrate(blank)

    assert "migrating" not in raised.value.message


@pytest.mark.parametrize("blank_database_url", [SQLITE], indirect=True)
def test_rebuilding_a_table_deletes_nothing_that_refers_to_it(blank: Database, service: Path) -> None:
    pets = """op.create_table(
        "pets",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("owner", sa.Integer, sa.ForeignKey("owners.id", ondelete="CASCADE")),
    )"""
    add(service, "0002", "0001", pets)
    migrate(blank, service)
    with blank.writing() as session:
        session.execute(text("INSERT INTO owners (id) VALUES (1)"))
        session.execute(text("INSERT INTO pets (id, owner) VALUES (1, 1)"))
    rebuild = """
    with op.batch_alter_table("owners", recreate="always") as owners:
        owners.add_column(sa.Column("name", sa.Text))"""
    add(service, "0003", "0002", rebuild)

    migrate(blank, service)

    with blank.writing() as session:
        assert session.scalar(text("SELECT count(*) FROM pets")) == 1
        session.execute(text("DELETE FROM owners"))
        assert session.scalar(text("SELECT count(*) FROM pets")) == 0
