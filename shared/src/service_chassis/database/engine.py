"""The engine of one service's database, and what its failures mean."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from service_chassis.database.locks import FileLock, Lock, PostgresLock
from service_chassis.database.mutex import writer_mutex
from service_chassis.database.wakeup import LocalWakeup, PostgresWakeup, Wakeup
from service_chassis.errors import Unavailable

CONFLICTS = {"40001", "40P01"}
"""SQLSTATEs of a serialization failure and a deadlock: the transaction may simply be run again."""

POSTGRES_SESSION = (
    "-c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s -c timezone=UTC"
)
KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "connect_timeout": 3,
}


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached right now."""

    code = "database_unavailable"


class TransactionConflict(Unavailable):
    """Two transactions were in each other's way; running this one again may succeed."""

    code = "transaction_conflict"


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
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self._writer: AbstractContextManager[None] = writer_mutex(self.file)
        self.engine = _sqlite_engine(url, begin="BEGIN IMMEDIATE")
        self.read_engine = _sqlite_engine(url, begin="BEGIN", read_only=True)
        self.wakeup: Wakeup = LocalWakeup()

    def _open_postgres(self, url: URL, pool_size: int) -> None:
        self.file = None
        self._writer = nullcontext()
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.engine = self.read_engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=5,
            pool_pre_ping=True,
            connect_args={**KEEPALIVES, "options": POSTGRES_SESSION},
        )
        self.wakeup = PostgresWakeup(self._dsn)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a transaction that may write; it commits when the block ends and rolls back when it raises."""
        with (
            self._writer,
            translated_errors(),
            Session(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a transaction that only reads; it sees one state of the database."""
        with translated_errors(), Session(self.read_engine, expire_on_commit=False) as session:
            if self.dialect == "postgresql":
                session.connection(execution_options={"postgresql_readonly": True})
            yield session

    def lock(self, name: str) -> Lock:
        """Return a lock that one holder in all processes on this database can have at a time."""
        if self.file is not None:
            return FileLock(self.file.with_name(f"{self.file.name}.{name}.lock"))
        return PostgresLock(self._dsn, name)

    def check(self) -> None:
        """Make one round trip; raises DatabaseUnavailable."""
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        self.wakeup.close()
        self.engine.dispose()
        self.read_engine.dispose()


@contextmanager
def translated_errors() -> Iterator[None]:
    """Let the driver's errors leave as ours."""
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable("No database connection became free in time.", retry_after=1) from error
    except (OperationalError, InterfaceError) as error:
        raise _meaning(error) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise _meaning(error) from error
        raise


def _meaning(error: DBAPIError) -> Unavailable:
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate in CONFLICTS or "database is locked" in str(error.orig):
        return TransactionConflict(retry_after=1)
    return DatabaseUnavailable(retry_after=2)


def _sqlite_engine(url: URL, *, begin: str, read_only: bool = False) -> Engine:
    engine = create_engine(url.set(drivername="sqlite"), pool_size=20, pool_timeout=10)

    @event.listens_for(engine, "connect")
    def _configure(connection, _record) -> None:  # type: ignore[no-untyped-def]  # the driver's own objects
        # The driver would open transactions by itself and too late; SQLAlchemy's "begin" event opens them instead.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection) -> None:  # type: ignore[no-untyped-def]  # SQLAlchemy's event signature
        connection.exec_driver_sql(begin)

    return engine
