"""Steward as the processes of production, on PostgreSQL and RabbitMQ."""

import secrets
from collections.abc import Mapping
from pathlib import Path

from devstack.rabbitmq_definitions import clients
from service_chassis.messaging.rabbitmq import RabbitMQ
from service_chassis.messaging.topology import Topology
from service_chassis.testing.servers import Postgres
from service_chassis.testing.servers.process import free_port
from tests.running.door import Door
from tests.running.steward import CLEANUP, DELIVERY, RUNS, TASK, TASKS, USER, Steward, answers

GATEWAY = "gateway"
USER_WEB, USER_WORKER = "user-web", "user-worker"
CLEANUP_WEB, CLEANUP_WORKER = "cleanup-web", "cleanup-worker"
TASK_WEB, TASK_WORKER = "task-web", "task-worker"
DELIVERY_WEB, DELIVERY_WORKER = "delivery-web", "delivery-worker"
WORKERS = (USER_WORKER, CLEANUP_WORKER)
COMMANDS = {
    USER_WEB: ("user_service", "web"),
    USER_WORKER: ("user_service", "worker"),
    CLEANUP_WEB: ("cleanup_service", "web"),
    CLEANUP_WORKER: ("cleanup_service", "worker"),
    TASK_WEB: ("task_service", "web"),
    TASK_WORKER: ("task_service", "worker"),
    DELIVERY_WEB: ("delivery_service", "web"),
    DELIVERY_WORKER: ("delivery_service", "worker"),
    GATEWAY: ("gateway", "web"),
}


class Native(Steward):
    def __init__(self, folder: Path, postgres: Postgres, rabbitmq_url: str, redis_url: str | None = None) -> None:
        """Use fresh databases, and names on the broker that nobody else uses."""
        super().__init__(folder)
        self._redis_url = redis_url
        self._postgres = postgres
        self._broker_url = f"{rabbitmq_url}?namespace=system-{secrets.token_hex(6)}"
        # As `make run-native` and the containers do it before any worker starts.
        RabbitMQ(self._broker_url).declare(topology())
        self._databases = {service: postgres.create_database("system") for service in (USER, CLEANUP, TASK, DELIVERY)}
        self._ports: dict[str, int] = {}
        for name in COMMANDS:
            self._ports[name] = free_port(besides=self._ports.values())

    @property
    def gateway(self) -> str:
        return self._address(GATEWAY)

    @property
    def services(self) -> Mapping[str, str]:
        webs = {USER: USER_WEB, CLEANUP: CLEANUP_WEB, TASK: TASK_WEB, DELIVERY: DELIVERY_WEB}
        return {service: self._address(web) for service, web in webs.items()}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(COMMANDS)

    def close(self) -> None:
        super().close()
        RabbitMQ(self._broker_url).delete(topology())
        for url in self._databases.values():
            self._postgres.drop_database(url)

    def _command(self, name: str) -> tuple[list[object], Mapping[str, str]]:
        module, command = COMMANDS[name]
        service = module.replace("_", "-")
        return ["-m", module, command], self._environment(service if service in self._databases else USER)

    def _environment(self, service: str) -> dict[str, str]:
        redis = {"REDIS_URL": self._redis_url} if self._redis_url else {}
        return redis | {
            "DATABASE_URL": self._databases[service],
            "BROKER_URL": self._broker_url,
            "GATEWAY_PORT": str(self._ports[GATEWAY]),
            "USER_SERVICE_URL": self._address(USER_WEB),
            "CLEANUP_SERVICE_URL": self._address(CLEANUP_WEB),
            "TASK_SERVICE_URL": self._address(TASK_WEB),
            "DELIVERY_SERVICE_URL": self._address(DELIVERY_WEB),
            "USER_SERVICE_BIND": f"127.0.0.1:{self._ports[USER_WEB]}",
            "CLEANUP_SERVICE_BIND": f"127.0.0.1:{self._ports[CLEANUP_WEB]}",
            "TASK_SERVICE_BIND": f"127.0.0.1:{self._ports[TASK_WEB]}",
            "DELIVERY_SERVICE_BIND": f"127.0.0.1:{self._ports[DELIVERY_WEB]}",
            "USER_WORKER_BIND": f"127.0.0.1:{self._ports[USER_WORKER]}",
            "CLEANUP_WORKER_BIND": f"127.0.0.1:{self._ports[CLEANUP_WORKER]}",
            "TASK_WORKER_BIND": f"127.0.0.1:{self._ports[TASK_WORKER]}",
            "DELIVERY_WORKER_BIND": f"127.0.0.1:{self._ports[DELIVERY_WORKER]}",
            "STEWARD_DATA": str(self._folder / "data"),
        }

    def _address(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def _is_ready(self) -> bool:
        ready = all(answers(f"{self._address(name)}/readyz") for name in self.programs)
        return ready and self._serves(self.admin) and self._knows_ended_sessions(self.admin.at(self.services[CLEANUP]))

    def _serves(self, admin: Door) -> bool:
        """Say whether the gateway passes on to everybody; it leaves alone for a while whom it could not reach."""
        return all(admin.get(path, limit=1).status == 200 for path in ("/api/v1/users", RUNS, TASKS))

    def _knows_ended_sessions(self, admin: Door) -> bool:
        """Say whether every process of a service answers administrators; which one is asked is left to the system."""
        return all(admin.get(RUNS, limit=1).status == 200 for _ in range(8))


def topology() -> Topology:
    """Return everything the services declare on the broker."""
    return sum((client.topology for client in clients()), Topology())
