import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, event, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from service_chassis.database import Database, DatabaseUnavailable, TransactionConflict
from service_chassis.database.engine import LockTimeout, translated_errors
from service_chassis.testing.databases import sqlite_url
from service_chassis.testing.outage import database_away
from service_chassis.testing.plugin import only_postgresql, only_sqlite
from service_chassis.testing.proxy import Proxy

metadata = MetaData()
numbers = Table("numbers", metadata, Column("id", Integer, primary_key=True), Column("value", Integer, nullable=False))


@pytest.fixture(autouse=True)
def _tables(database: Database) -> None:
    with database.writing() as session:
        metadata.create_all(session.connection())
        session.execute(insert(numbers).values(id=1, value=0))


def value(session: Session) -> int:
    return session.scalars(select(numbers.c.value)).one()


class TestTransactions:
    def test_what_was_written_is_there_after_the_block(self, database: Database) -> None:
        with database.writing() as session:
            session.execute(update(numbers).values(value=7))

        with database.reading() as session:
            assert value(session) == 7

    def test_an_error_in_the_block_undoes_everything(self, database: Database) -> None:
        with suppress(ZeroDivisionError), database.writing() as session:
            session.execute(update(numbers).values(value=7))
            raise ZeroDivisionError

        with database.reading() as session:
            assert value(session) == 0

    def test_a_reading_transaction_cannot_write(self, database: Database) -> None:
        with pytest.raises((DBAPIError, DatabaseUnavailable)), database.reading() as session:
            session.execute(update(numbers).values(value=7))

    def test_a_reading_transaction_sees_one_state_of_the_database(self, database: Database) -> None:
        with database.reading() as session:
            before = value(session)
            with database.writing() as other:
                other.execute(update(numbers).values(value=7))

            assert value(session) == before == 0

        with database.reading() as session:
            assert value(session) == 7

    def test_many_writers_that_read_first_lose_no_update(self, database: Database) -> None:
        conflicts = []

        def count() -> None:
            for _ in range(20):
                try:
                    with database.writing() as session:
                        now = session.scalars(select(numbers.c.value).with_for_update()).one()
                        session.execute(update(numbers).values(value=now + 1))
                except TransactionConflict as error:
                    conflicts.append(error)

        threads = [threading.Thread(target=count) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

        assert not conflicts
        with database.reading() as session:
            assert value(session) == 120

    def test_what_one_database_object_wrote_another_one_sees(self, database: Database, database_url: str) -> None:
        with database.writing() as session:
            session.execute(update(numbers).values(value=7))

        with closing(Database(database_url)) as other, other.reading() as session:
            assert value(session) == 7


class TestMeaningOfErrors:
    @pytest.mark.parametrize(
        "statement",
        ["SELECT * FROM no_such_table", "SELECT no_such_column FROM numbers", "this is no SQL"],
    )
    def test_a_wrong_statement_is_an_error_of_its_own_and_not_a_database_that_is_away(
        self, database: Database, statement: str
    ) -> None:
        with pytest.raises(DBAPIError), database.writing() as session:
            session.execute(text(statement))

    def test_a_violated_constraint_is_left_to_the_caller(self, database: Database) -> None:
        with pytest.raises(IntegrityError), database.writing() as session:
            session.execute(insert(numbers).values(id=1, value=0))

    def test_a_database_that_cannot_be_reached_is_unavailable_until_it_can(
        self, database: Database, database_url: str
    ) -> None:
        with database_away(database, database_url):
            with pytest.raises(DatabaseUnavailable):
                database.check()
            with pytest.raises(DatabaseUnavailable), database.writing() as session:
                value(session)

        database.check()
        with database.writing() as session:
            assert value(session) == 0

    @only_postgresql
    def test_a_server_that_is_not_there_is_unavailable(self, database_url: str) -> None:
        with Proxy(database_url) as proxy:
            proxy.cut()

            with closing(Database(proxy.url)) as database, pytest.raises(DatabaseUnavailable):
                database.check()

    @only_postgresql
    def test_a_connection_lost_in_a_transaction_is_unavailable(self, database: Database) -> None:
        with pytest.raises(DatabaseUnavailable), database.writing() as session:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        database.check()

    @only_postgresql
    def test_a_connection_cut_in_a_transaction_is_unavailable(self, database_url: str) -> None:
        with Proxy(database_url) as proxy, closing(Database(proxy.url)) as database:
            with database.writing() as session:
                value(session)
                proxy.drop()

                with pytest.raises(DatabaseUnavailable), translated_errors():
                    value(session)
                session.rollback()

            database.check()

    @only_postgresql
    @pytest.mark.parametrize(
        ("sqlstate", "meaning"),
        [
            ("40001", TransactionConflict),
            ("40P01", TransactionConflict),
            ("55P03", LockTimeout),
            ("08006", DatabaseUnavailable),
            ("53100", DatabaseUnavailable),
            ("53300", DatabaseUnavailable),
            ("57P01", DatabaseUnavailable),
            ("57P03", DatabaseUnavailable),
            ("57014", DBAPIError),
            ("25006", DBAPIError),
            ("42P01", DBAPIError),
            ("22P02", DBAPIError),
            ("58030", DBAPIError),
            ("XX000", DBAPIError),
        ],
    )
    def test_an_error_of_the_server_means_what_its_state_says(
        self, database: Database, sqlstate: str, meaning: type[Exception]
    ) -> None:
        statement = f"DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{sqlstate}'; END $$"

        with pytest.raises(meaning) as raised, database.writing() as session:
            session.execute(text(statement))

        assert raised.type is meaning or meaning is DBAPIError

    @only_postgresql
    def test_a_statement_that_takes_too_long_is_an_error_of_its_own(self, database: Database) -> None:
        too_long = "SET LOCAL statement_timeout = '10ms'; SELECT pg_sleep(10)"

        with pytest.raises(DBAPIError), database.writing() as session:
            session.execute(text(too_long))

    @only_postgresql
    def test_a_lock_that_is_not_given_up_in_time_is_a_conflict(self, database: Database) -> None:
        with database.writing() as holder:
            holder.execute(update(numbers).values(value=1))

            with pytest.raises(LockTimeout), database.writing() as waiter:
                waiter.execute(text("SET LOCAL lock_timeout = '10ms'; UPDATE numbers SET value = 2"))

    @only_postgresql
    def test_a_pool_that_is_used_up_is_unavailable(self, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with closing(Database(database_url, pool_size=1)) as database:
            monkeypatch.setattr(database.engine.pool, "_timeout", 0.01)
            with database.writing() as first:
                value(first)

                with pytest.raises(DatabaseUnavailable, match="became free"):
                    database.check()

    @only_sqlite
    def test_a_file_another_process_writes_is_a_conflict(self, database: Database) -> None:
        with pragma(database, "busy_timeout=1"), other_writer(database):
            error = pytest.raises(TransactionConflict)
            with error, database.writing() as session:
                value(session)

        with database.writing() as session:
            assert value(session) == 0

    @only_sqlite
    @pytest.mark.parametrize("setting", ["max_page_count=1", "query_only=ON"])
    def test_a_file_that_is_full_or_read_only_is_unavailable(self, database: Database, setting: str) -> None:
        with pragma(database, setting), pytest.raises(DatabaseUnavailable), database.writing() as session:
            session.execute(insert(numbers), [{"value": number} for number in range(5_000)])

    @only_sqlite
    def test_a_file_that_is_no_database_is_an_error_of_its_own(self, tmp_path: Path) -> None:
        file = tmp_path / "no.db"
        file.write_bytes(b"this is not a database" * 100)

        with closing(Database(f"sqlite:///{file}")) as broken, pytest.raises(DBAPIError):
            broken.check()

    @pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite://"])
    def test_a_url_of_another_kind_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="URL"):
            Database(url)


@contextmanager
def pragma(database: Database, setting: str) -> Iterator[None]:
    """Give the connections made inside the block a setting."""
    database.engine.dispose()

    def configure(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA {setting}")

    event.listen(database.engine, "connect", configure)
    yield
    event.remove(database.engine, "connect", configure)
    database.engine.dispose()


@contextmanager
def other_writer(database: Database) -> Iterator[None]:
    with closing(sqlite3.connect(str(database.file), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@only_sqlite
def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    for number in range(20):
        together = Barrier(8)
        with ThreadPoolExecutor(8) as threads:
            opened = [threads.submit(opens, sqlite_url(tmp_path / f"{number}.db"), together) for _ in range(8)]
            assert [each.result(20) for each in opened] == [1] * 8


def opens(url: str, together: Barrier) -> int:
    together.wait(10)
    with closing(Database(url)) as database, database.reading() as session:
        return int(session.scalar(text("SELECT 1")) or 0)
