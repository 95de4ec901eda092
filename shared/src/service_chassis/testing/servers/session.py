"""The servers of one test session."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Self

from service_chassis.testing.servers.location import POSTGRES, RABBITMQ, REDIS, Kind, locate
from service_chassis.testing.servers.postgres import THROWAWAY, Postgres, PrivatePostgres
from service_chassis.testing.servers.private import PrivateServer
from service_chassis.testing.servers.rabbitmq import PrivateRabbitMQ, RabbitMQ
from service_chassis.testing.servers.redis import PrivateRedis, Redis


class Servers:
    """PostgreSQL, RabbitMQ and Redis for tests: each is found, or else started, when it is first asked for.

    A server that cannot be had raises ServerError with what to do about it.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._stack = ExitStack()

    @cached_property
    def postgres(self) -> Postgres:
        server = Postgres(self._url(POSTGRES, lambda: PrivatePostgres(THROWAWAY)))
        self._stack.callback(server.close)
        return server

    @cached_property
    def rabbitmq(self) -> RabbitMQ:
        return RabbitMQ(self._url(RABBITMQ, PrivateRabbitMQ))

    @cached_property
    def redis(self) -> Redis:
        server = Redis(self._url(REDIS, PrivateRedis))
        self._stack.callback(server.close)
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._stack.close()

    def _url(self, kind: Kind, otherwise: Callable[[], PrivateServer]) -> str:
        return locate(kind, self._env).url or self._stack.enter_context(otherwise()).url
