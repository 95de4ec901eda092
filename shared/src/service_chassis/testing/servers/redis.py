"""Redis: logging in, databases for tests, and servers of the tests' own."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from service_chassis.testing.servers.private import PrivateServer
from service_chassis.testing.servers.process import Guard, Process, ServerError
from service_chassis.testing.servers.software import Software

SOFTWARE = Software("Redis", program="redis-server", package="redis-server")
USUAL_URL = "redis://127.0.0.1:6379"
TIMEOUT_SECONDS = 3
DATABASES = range(1, 16)
CLAIM_SECONDS = 6 * 3600
OURS = "steward:test-databases"
"""A set of the databases in which only tests write. It survives a killed test process, so they can be emptied."""


def log_in(url: str) -> None:
    """Make a round trip; raises ServerError."""
    try:
        with _client(url) as client:
            client.ping()
    except (RedisError, OSError, ValueError) as error:
        raise ServerError(str(error)) from error


class Redis:
    """A server whose empty databases tests take for themselves, emptied again at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._claimed: set[str] = set()

    def claim_database(self) -> str:
        """Return the URL of an empty database that nobody else uses; raises ServerError if there is none."""
        with _client(self._database(0)) as registry:
            for number in DATABASES:
                if registry.set(_claim(number), "", nx=True, ex=CLAIM_SECONDS):
                    url = self._database(number)
                    if self._usable(registry, number, url):
                        return url
                    registry.delete(_claim(number))
        raise ServerError(f"No database of the Redis at {self.url} is empty; empty one, or use another Redis.")

    def release_database(self, url: str) -> None:
        number = int(urlsplit(url).path.removeprefix("/"))
        with _client(url) as database, _client(self._database(0)) as registry:
            database.flushdb()
            registry.srem(OURS, number)
            registry.delete(_claim(number))
        self._claimed.discard(url)

    def close(self) -> None:
        for url in list(self._claimed):
            self.release_database(url)

    def _usable(self, registry: Client, number: int, url: str) -> bool:
        with _client(url) as database:
            if not registry.sismember(OURS, str(number)) and database.dbsize() > 0:
                return False
            registry.sadd(OURS, number)
            database.flushdb()
        self._claimed.add(url)
        return True

    def _database(self, number: int) -> str:
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{number}"))


class PrivateRedis(PrivateServer):
    """A Redis whose confirmed writes survive `kill`."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def _prepare(self, folder: Path, guard: Guard) -> None:
        pass

    def _launch(self, folder: Path, guard: Guard) -> Process:
        command = [SOFTWARE.require() / "redis-server", "--bind", "127.0.0.1", "--port", str(self.port)]
        # Left to the system, syncing never delays a write to the file, as it does each second by default.
        durable = ["--appendonly", "yes", "--appendfsync", "no", "--save", ""]
        return Process([*command, *durable], folder, guard=guard)

    def _log_in(self) -> None:
        log_in(self.url)


def _client(url: str) -> Client:
    retry = Retry(NoBackoff(), 0)
    return Client.from_url(url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=retry)


def _claim(number: int) -> str:
    return f"steward:test-database:{number}"
