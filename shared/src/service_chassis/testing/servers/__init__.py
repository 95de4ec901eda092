"""Real servers for tests: found on this machine, or started privately from installed programs.

    with Servers(os.environ) as servers:
        url = servers.postgres.create_database("users")

Tests that stop, kill or freeze a server take PrivatePostgres, PrivateRabbitMQ or PrivateRedis.
"""

from service_chassis.testing.servers.postgres import Postgres, PrivatePostgres
from service_chassis.testing.servers.process import ServerError
from service_chassis.testing.servers.rabbitmq import PrivateRabbitMQ, RabbitMQ
from service_chassis.testing.servers.redis import PrivateRedis, Redis
from service_chassis.testing.servers.session import Servers

__all__ = [
    "Postgres",
    "PrivatePostgres",
    "PrivateRabbitMQ",
    "PrivateRedis",
    "RabbitMQ",
    "Redis",
    "ServerError",
    "Servers",
]
