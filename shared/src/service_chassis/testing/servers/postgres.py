"""PostgreSQL: logging in, databases for tests, and servers of the tests' own."""

import getpass
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import LiteralString
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from service_chassis.testing.servers.private import PrivateServer
from service_chassis.testing.servers.process import Guard, Process, ServerError, ordinary_account
from service_chassis.testing.servers.software import Software

SOFTWARE = Software("PostgreSQL", program="postgres", package="postgresql", folders=("/usr/lib/postgresql/*/bin",))
LOGIN_SECONDS = 3
INITDB_SECONDS = 60
LOCALE = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
THROWAWAY = {"fsync": "off", "full_page_writes": "off"}
"""Settings of a server that nobody kills."""


def usual_urls() -> list[str]:
    """Return how one usually gets into a PostgreSQL on localhost."""
    users = dict.fromkeys(["postgres", *_current_user(), "root"])
    return [f"postgresql://{user}@127.0.0.1:5432/postgres" for user in users]


def log_in(url: str) -> None:
    """Log in as somebody who may create databases; raises ServerError."""
    try:
        with psycopg.connect(_dsn(url), connect_timeout=LOGIN_SECONDS) as connection:
            query = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            row = connection.execute(query).fetchone()
    except psycopg.Error as error:
        raise ServerError(str(error).strip()) from error
    if not row or not row[0]:
        raise ServerError("The user may not create databases.")


class Postgres:
    """A server on which tests create databases; those they leave behind are dropped at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._created: set[str] = set()

    def create_database(self, prefix: str, *, template: str | None = None) -> str:
        """Create a database with a name of its own, empty or as a copy of another one of this server.

        The template is given by its URL and nobody may be connected to it.
        """
        name = f"{prefix}_{secrets.token_hex(6)}"
        source = _database_of(template) if template else "template0"
        # An old or careless installation has another encoding than UTF-8, which only template0 lets one change.
        encoding = "" if template else " ENCODING 'UTF8'"
        self._execute("CREATE DATABASE {} TEMPLATE {}" + encoding, name, source)
        url = urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))
        self._created.add(url)
        return url

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", _database_of(url))
        self._created.discard(url)

    def close(self) -> None:
        for url in list(self._created):
            self.drop_database(url)

    def _execute(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(_dsn(self.url), autocommit=True, connect_timeout=LOGIN_SECONDS) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


class PrivatePostgres(PrivateServer):
    """A PostgreSQL that keeps its promises through `kill`, unless the settings say otherwise."""

    STOP_SIGNAL = signal.SIGINT
    LAST_SIGNAL = signal.SIGQUIT  # Lets the postmaster give its shared memory back, which SIGKILL does not.

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            # What a killed server leaves there goes with its data; in /dev/shm it would stay.
            "dynamic_shared_memory_type": "mmap",
            **(settings or {}),
        }

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _prepare(self, folder: Path, guard: Guard) -> None:
        initdb = SOFTWARE.require() / "initdb"
        account = ordinary_account()
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", f"--locale={LOCALE}", "--no-sync"]
        command = [initdb, f"--pgdata={folder / 'data'}", *options]
        Process(command, folder, guard=guard, account=account).succeed(INITDB_SECONDS)

    def _launch(self, folder: Path, guard: Guard) -> Process:
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        command = [SOFTWARE.require() / "postgres", "-D", folder / "data", *options]
        return Process(command, folder, guard=guard, last_signal=self.LAST_SIGNAL, account=ordinary_account())

    def _log_in(self) -> None:
        log_in(self.url)

    def close(self) -> None:
        if self._process is None and self._folder is not None:
            _release_shared_memory(self._folder / "data" / "postmaster.pid")
        super().close()


def _current_user() -> list[str]:
    try:
        return [getpass.getuser()]
    except (KeyError, OSError):
        return []  # A container may run under a number that has no name.


def _release_shared_memory(lock_file: Path) -> None:
    """Remove the segment a killed server left in the system; its lock file names it in line 7, after the key."""
    lines = lock_file.read_text().splitlines() if lock_file.exists() else []
    if len(lines) > 6:
        subprocess.run(["ipcrm", "-m", lines[6].split()[1]], capture_output=True, check=False)


def _dsn(url: str) -> str:
    """Return the URL as libpq reads it, without SQLAlchemy's name of the driver."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql"))


def _database_of(url: str) -> str:
    return unquote(urlsplit(url).path.removeprefix("/"))
