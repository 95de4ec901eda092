"""What tells that another process wrote to a SQLite file, so that nobody has to query it all the time."""

import time
from pathlib import Path

import pytest
from sqlalchemy import text

from service_chassis.database import Database, changes
from service_chassis.database.changes import Changes
from service_chassis.testing.plugin import only_sqlite


@pytest.fixture
def watched(database: Database) -> Changes:
    assert database.file is not None
    write(database)
    return Changes(database.file)


def write(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("CREATE TABLE IF NOT EXISTS written (at REAL)"))
        session.execute(text("INSERT INTO written VALUES (:at)"), {"at": time.time()})


@only_sqlite
def test_a_file_counts_as_changed_at_first_and_then_when_somebody_wrote(watched: Changes, database: Database) -> None:
    assert watched.any()
    assert not watched.any()

    write(database)

    assert watched.any()
    assert not watched.any()


@only_sqlite
def test_reading_is_no_change(watched: Changes, database: Database) -> None:
    watched.any()

    database.check()

    assert not watched.any()


@only_sqlite
def test_what_the_file_system_does_not_tell_is_found_after_a_while(
    watched: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LONGEST", 0.0)
    watched.any()

    assert watched.any()


def test_a_file_that_is_not_there_is_looked_at_each_time(tmp_path: Path) -> None:
    nothing = Changes(tmp_path / "nothing.db")

    assert nothing.any()
    assert nothing.any()
