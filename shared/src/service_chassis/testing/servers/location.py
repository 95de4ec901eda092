"""Which server of each kind the tests use: the one named, the one on localhost, or one of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

from service_chassis.testing.servers import amqp, packages, postgres, rabbitmq, redis
from service_chassis.testing.servers.process import ServerError
from service_chassis.testing.servers.software import Software

FORCE_PRIVATE = "STEWARD_TEST_PRIVATE"


class Source(StrEnum):
    NAMED = "named"
    LOCALHOST = "localhost"
    PRIVATE = "private"
    INSTALL = "install"


@dataclass(frozen=True)
class Kind:
    variable: str
    software: Software
    usual_urls: Callable[[], list[str]]
    log_in: Callable[[str], None]


@dataclass(frozen=True)
class Location:
    """Where a server comes from, and its URL if it runs already."""

    source: Source
    detail: str
    url: str | None = None


POSTGRES = Kind("TEST_DATABASE_URL", postgres.SOFTWARE, postgres.usual_urls, postgres.log_in)
RABBITMQ = Kind("TEST_BROKER_URL", rabbitmq.SOFTWARE, lambda: [rabbitmq.USUAL_URL], amqp.log_in)
REDIS = Kind("TEST_REDIS_URL", redis.SOFTWARE, lambda: [redis.USUAL_URL], redis.log_in)
KINDS = (POSTGRES, RABBITMQ, REDIS)


def locate(kind: Kind, env: Mapping[str, str]) -> Location:
    """Find the server to use, without starting or installing anything; raises ServerError if there is none."""
    if named := env.get(kind.variable, "").strip():
        return _named(kind, named)
    if env.get(FORCE_PRIVATE) != "1" and (url := _on_localhost(kind)):
        return Location(Source.LOCALHOST, _shown(url), url)
    if folder := kind.software.folder():
        return Location(Source.PRIVATE, f"started from {folder}")
    if packages.can_install():
        return Location(Source.INSTALL, f"installed with apt-get: {kind.software.package}")
    raise ServerError(
        f"The tests need {kind.software.name}. {kind.software.advice} "
        f"Or set {kind.variable} to the URL of a server they may use."
    )


def _named(kind: Kind, url: str) -> Location:
    try:
        kind.log_in(url)
    except ServerError as error:
        raise ServerError(f"{kind.variable} names {_shown(url)}, which cannot be used: {error}") from error
    return Location(Source.NAMED, f"{kind.variable}={_shown(url)}", url)


def _on_localhost(kind: Kind) -> str | None:
    for url in kind.usual_urls():
        try:
            kind.log_in(url)
        except ServerError:
            continue
        return url
    return None


def _shown(url: str) -> str:
    """Return the URL without its password."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=user.partition(":")[0] + at + host))
