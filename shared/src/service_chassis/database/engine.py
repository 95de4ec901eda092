"""The engine of one service's database, and what its failures mean."""

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from service_chassis.database.digests import digest_of
from service_chassis.database.locks import KEEPALIVES, FileLock, Lock, PostgresLock
from service_chassis.database.mutex import writer_mutex
from service_chassis.database.wakeup import LocalWakeup, PostgresWakeup, Wakeup
from service_chassis.errors import Unavailable

RESTED = 0.5
"""Seconds after which a connection in the pool is asked whether it is still one before it is used again."""
CONFLICTS = {"40001", "40P01"}
"""SQLSTATEs of a serialization failure and a deadlock: the transaction may simply be run again."""
LOCK_NOT_AVAILABLE = "55P03"
"""SQLSTATE of a statement that waited for another transaction's lock longer than lock_timeout."""
AWAY = ("08", "53", "57P0", "25P03")
"""Beginnings of the SQLSTATEs of a lost connection, of missing resources, of a server that starts or stops, and
of a transaction it gave up on."""

SQLITE_CONFLICTS = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
SQLITE_AWAY = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}

WAL_WITHIN = 10.0
"""Seconds in which a file must have been turned to WAL."""
SQLITE_PRAGMAS = ("busy_timeout=10000", "synchronous=NORMAL", "foreign_keys=ON")
POSTGRES_SESSION = (
    "-c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s -c timezone=UTC"
)


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached right now."""

    code = "database_unavailable"


class TransactionConflict(Unavailable):
    """Two transactions were in each other's way; running this one again may succeed."""

    code = "transaction_conflict"


class LockTimeout(TransactionConflict):
    """Another transaction holds what this one needs, and did not end in time."""

    code = "lock_timeout"


class Database:
    """One service's database.

    `writing` and `reading` hand out a session inside a transaction of its own. Foreign errors leave them as
    DatabaseUnavailable or TransactionConflict; integrity errors pass, because only the caller knows their meaning.
    """

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        parsed = make_url(url)
        self.dialect = parsed.get_backend_name()
        if self.dialect == "sqlite":
            self._open_sqlite(parsed)
        elif self.dialect == "postgresql":
            self._open_postgres(parsed, pool_size)
        else:
            raise ValueError(f"A database URL starts with postgresql:// or sqlite:///, not {parsed.drivername}://.")

    def _open_sqlite(self, url: URL) -> None:
        if not url.database:
            raise ValueError("A SQLite URL names its file: sqlite:///path/to/file.db.")
        self.file: Path | None = Path(url.database)
        self._writer: AbstractContextManager[None] = writer_mutex(self.file)
        self.engine = self._hasty_engine = _sqlite_engine(url, begin="BEGIN IMMEDIATE")
        self.read_engine = _sqlite_engine(url, "query_only=ON", begin="BEGIN")
        self._asking_engine = self.read_engine
        # Whether foreign keys count can only be said before a transaction begins, hence an engine of its own.
        self._migration_engine = _sqlite_engine(url, "foreign_keys=OFF", begin="BEGIN IMMEDIATE", poolclass=NullPool)
        self.wakeup: Wakeup = LocalWakeup(self.file)

    def _open_postgres(self, url: URL, pool_size: int) -> None:
        self.file = None
        self._writer = nullcontext()
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        connections = _postgres_engine(url, POSTGRES_SESSION, pool_size)
        self.engine = self._migration_engine = _beginning(connections, read_only=False)
        self.read_engine = _beginning(connections, read_only=True)
        self._asking_engine = _asking(connections)
        self._hasty_engine = _postgres_engine(url, f"{POSTGRES_SESSION} -c synchronous_commit=off", 1)
        self.wakeup = PostgresWakeup(self._dsn)

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[Session]:
        """Open a transaction that may write; it commits when the block ends and rolls back when it raises.

        One that is not durable does not wait for the disk: a crash of the server within the next second may undo it,
        whole, so it is for what is done again when it is found undone.
        """
        with (
            self._writer,
            translated_errors(),
            Session(self.engine if durable else self._hasty_engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction that only reads; it sees one state of the database."""
        with translated_errors(), Session(self.read_engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def asking(self) -> Iterator[Session]:
        """Open a session for a single question, which needs no transaction around it: one round trip instead of three.

        Who asks a second one gets RuntimeError, because the two answers might not belong together.
        """
        with translated_errors(), Session(self._asking_engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Open a transaction that may change tables: it takes the time it needs, and does not cascade.

        SQLite changes a table by copying and dropping it, which would delete what refers to it.
        """
        with self._writer, translated_errors(), self._migration_engine.begin() as connection:
            if self.file is None:
                connection.execute(text("SET LOCAL statement_timeout = 0"))
            yield connection

    @property
    def absent_file(self) -> Path | None:
        """The file this database would be in, where there is none; a database on a server is never made here."""
        return None if self.file is None or self.file.exists() else self.file

    def make_folder(self) -> None:
        """Make the folder of the file, for a process that may create the database."""
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)

    def lock(self, name: str) -> Lock:
        """Return a lock that one holder in all processes on this database can have at a time."""
        if self.file is not None:
            return FileLock(self.file.with_name(f"{self.file.name}.{name}.lock"))
        return PostgresLock(self._dsn, name)

    def check(self) -> None:
        """Make one round trip; raises DatabaseUnavailable."""
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def forked(self) -> None:
        """Forget the connections a forked process inherited, without closing them for its parent."""
        for engine in (self.engine, self.read_engine, self._hasty_engine):
            engine.dispose(close=False)
        if self.file is None:
            # Threads do not survive the fork, and the parent's would never signal here.
            self.wakeup = PostgresWakeup(self._dsn)

    def close(self) -> None:
        self.wakeup.close()
        for engine in (self.engine, self.read_engine, self._hasty_engine):
            engine.dispose()


@contextmanager
def translated_errors() -> Iterator[None]:
    """Let the driver's errors leave as ours."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("No database connection became free in time.", retry_after=1) from error
    except DBAPIError as error:
        meaning = _meaning(error)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: DBAPIError) -> Unavailable | None:
    """Return our error for what the next try may not meet again, and None for what is wrong with the statement."""
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_meaning(error.orig)
    sqlstate: str | None = getattr(error.orig, "sqlstate", None)
    if sqlstate == LOCK_NOT_AVAILABLE:
        return LockTimeout(retry_after=1)
    if sqlstate in CONFLICTS:
        return TransactionConflict(retry_after=1)
    # Without a state nothing came from the server: it was not reached, or the connection was lost on the way.
    away = (
        sqlstate.startswith(AWAY) if sqlstate else isinstance(error, OperationalError) or error.connection_invalidated
    )
    return DatabaseUnavailable(retry_after=2) if away else None


def _sqlite_meaning(error: sqlite3.Error) -> Unavailable | None:
    # The upper bits of an extended code only say more about the same.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in SQLITE_CONFLICTS:
        return TransactionConflict(retry_after=1)
    return DatabaseUnavailable(retry_after=2) if code in SQLITE_AWAY else None


def _postgres_engine(url: URL, session_options: str, pool_size: int) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        # Parameters are people's data, which no error message should carry on.
        hide_parameters=True,
        connect_args={**KEEPALIVES, "options": session_options},
    )
    _check_rested_connections(engine)
    return engine


def _beginning(engine: Engine, *, read_only: bool) -> Engine:
    """Return an engine on the same connections whose transactions are of one kind.

    The library would set each connection up and back again for each transaction, which takes as long as a short one.
    """
    level = psycopg.IsolationLevel.REPEATABLE_READ if read_only else psycopg.IsolationLevel.READ_COMMITTED
    derived = engine.execution_options()

    @event.listens_for(derived, "begin")
    def _set(connection) -> None:  # type: ignore[no-untyped-def]  # SQLAlchemy's event signature
        raw = connection.connection.driver_connection
        if raw.autocommit or raw.read_only is not read_only:
            raw.autocommit, raw.read_only, raw.isolation_level = False, read_only, level

    return derived


def _asking(engine: Engine) -> Engine:
    """Return an engine on the same connections that executes one statement at a time, outside any transaction."""
    derived = engine.execution_options()

    @event.listens_for(derived, "begin")
    def _set(connection) -> None:  # type: ignore[no-untyped-def]  # SQLAlchemy's event signature
        raw = connection.connection.driver_connection
        if not raw.autocommit:
            raw.autocommit = True
        connection.info["asked"] = False

    @event.listens_for(derived, "before_cursor_execute")
    def _ask(connection, *_) -> None:  # type: ignore[no-untyped-def]  # SQLAlchemy's event signature
        if connection.info["asked"]:
            raise RuntimeError("This is for a single question; what belongs together is asked in a transaction.")
        connection.info["asked"] = True

    return derived


def _check_rested_connections(engine: Engine) -> None:
    """Let nobody meet a connection that ended while nobody used it.

    The library would ask the server at every checkout, which is a fifth of the time of a short transaction.
    """

    @event.listens_for(engine, "checkin")
    def _note(_connection, record) -> None:  # type: ignore[no-untyped-def]  # SQLAlchemy's event signature
        record.info["rests_since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _check(connection, record, _proxy) -> None:  # type: ignore[no-untyped-def]  # SQLAlchemy's event signature
        if time.monotonic() - record.info.get("rests_since", math.inf) < RESTED:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            # The pool tries another one, and knows that those opened before this moment are no better.
            raise InvalidatePoolError from error


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in SQLITE_CONFLICTS


@retry(
    retry=retry_if_exception(_is_busy),
    wait=wait_random(0, 0.05),
    stop=stop_after_delay(WAL_WITHIN),
    reraise=True,
)
def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Turn the file to WAL, for which the busy timeout does not hold where another connection turns it as well."""
    cursor.execute("PRAGMA journal_mode=WAL")


def _sqlite_engine(url: URL, *pragmas: str, begin: str, **options: Any) -> Engine:
    pool = options or {"pool_size": 20, "pool_timeout": 10, "pool_use_lifo": True}
    engine = create_engine(url.set(drivername="sqlite"), hide_parameters=True, **pool)

    @event.listens_for(engine, "connect")
    def _configure(connection, _record) -> None:  # type: ignore[no-untyped-def]  # the driver's own objects
        # The driver would open transactions by itself and too late; SQLAlchemy's "begin" event opens them instead.
        connection.isolation_level = None
        connection.create_function("row_digest", 2, digest_of, deterministic=True)
        cursor = connection.cursor()
        for pragma in (*SQLITE_PRAGMAS, *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        _use_wal(cursor)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection) -> None:  # type: ignore[no-untyped-def]  # SQLAlchemy's event signature
        connection.exec_driver_sql(begin)

    return engine
