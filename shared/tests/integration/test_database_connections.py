"""Connections of the pool: which are asked whether they live, which wait for the disk, and what each use makes them."""

import pytest
from sqlalchemy import text

from service_chassis.database import Database, DatabaseUnavailable, engine
from service_chassis.testing.outage import end_connections
from service_chassis.testing.plugin import only_postgresql

pytestmark = only_postgresql

COMMITS = text("SELECT setting, source FROM pg_settings WHERE name = 'synchronous_commit'")


def test_nobody_meets_a_connection_that_ended_while_it_rested(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.check()
    end_connections(database_url)
    monkeypatch.setattr(engine, "RESTED", 0.0)

    database.check()


def test_a_connection_that_was_just_in_use_is_not_asked_and_its_end_is_reported_as_an_outage(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RESTED", 60.0)
    database.check()
    end_connections(database_url)

    with pytest.raises(DatabaseUnavailable):
        database.check()
    database.check()


def test_only_a_transaction_that_may_be_lost_does_not_wait_for_the_disk(database: Database) -> None:
    with database.writing(durable=False) as session:
        hasty = session.execute(COMMITS).one()
    with database.writing() as session:
        durable = session.execute(COMMITS).one()

    assert tuple(hasty) == ("off", "client")
    # The databases of tests are hasty, too, but by themselves and not because they were asked.
    assert durable.source != "client"


def test_one_connection_serves_every_use_in_turn_and_is_made_for_each(database_url: str) -> None:
    kind = text("SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')")
    database = Database(database_url, pool_size=1)
    seen = []
    for use in (database.reading, database.writing, database.asking) * 2:
        with use() as session:
            seen.append(tuple(session.execute(kind).one()))
    database.close()

    assert seen == [("repeatable read", "on"), ("read committed", "off"), ("read committed", "off")] * 2


def test_a_single_question_is_asked_outside_of_any_transaction_and_a_second_one_is_refused(database: Database) -> None:
    begun_with_it = text("SELECT now() = statement_timestamp() FROM pg_sleep(0.01)")

    with database.asking() as session:
        assert session.scalar(begun_with_it)
        with pytest.raises(RuntimeError, match="single question"):
            session.scalar(begun_with_it)
    with database.asking() as session:
        assert session.scalar(begun_with_it)


def test_a_question_finds_out_that_the_server_is_away(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RESTED", 60.0)
    with database.asking() as session:
        session.execute(text("SELECT 1"))
    end_connections(database_url)

    with pytest.raises(DatabaseUnavailable), database.asking() as session:
        session.execute(text("SELECT 1"))
