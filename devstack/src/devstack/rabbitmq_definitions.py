"""What RabbitMQ is told about Steward, in the form of its definitions file, worked out from the services' topologies.

Each service gets a user who may write to the service's own exchange only. That is also why the queues are in the file:
who may not write to the default exchange may not create a queue that dead-letters through it, and only finds it there.
Producers outside get a user who may write to the one exchange that is there for them.
"""

import base64
import hashlib
import json
import re
import secrets
import threading
import urllib.request
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

import cleanup_service.bootstrap
import delivery_service.bootstrap
import task_service.bootstrap
import user_service.bootstrap
from service_chassis.messaging.topology import Topology
from service_chassis.settings import Environment
from user_service.messaging.requests import NotificationRequested

VHOST = "/"
ADMINISTRATOR = "admin"
NOTHING = "^$"
LOADED_WITHIN = 30
BOOTSTRAPS = (user_service.bootstrap, cleanup_service.bootstrap, task_service.bootstrap, delivery_service.bootstrap)
NOWHERE = {"DATABASE_URL": "postgresql://nowhere.invalid/none", "BROKER_URL": "amqp://nowhere.invalid"}
"""Services are only put together here, to be asked for their topology; they open nothing."""


@dataclass(frozen=True, slots=True)
class Client:
    """A service as the broker sees it."""

    name: str
    exchange: str
    topology: Topology


@dataclass(frozen=True, slots=True)
class Producer:
    """Programs outside that publish to one exchange, and do nothing else."""

    name: str
    exchange: str


PRODUCERS = (Producer("notification-producer", NotificationRequested.exchange),)


def clients() -> list[Client]:
    """Return all services."""
    found = []
    for module in BOOTSTRAPS:
        service = module.bootstrap(NOWHERE, CollectorRegistry(), threading.Event())
        worker = service.make_worker()
        found.append(Client(service.name, worker.exchange, worker.topology))
    return found


def names(clients: Iterable[Client], producers: Iterable[Producer]) -> list[str]:
    """Return the names of all who may sign in."""
    return [client.name for client in clients] + [producer.name for producer in producers]


def read_passwords(env: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the passwords of these users. Raises SettingsError."""
    reader = Environment(env)
    passwords = {
        name: reader.secret(f"{name.upper().replace('-', '_')}_BROKER_PASSWORD", demo=f"demo-{name}") for name in names
    }
    reader.finish()
    return passwords


def definitions(
    clients: Collection[Client], producers: Collection[Producer], passwords: Mapping[str, str]
) -> dict[str, Any]:
    """Return the definitions for these users, in the form of `rabbitmqctl export_definitions`."""
    topology = sum((client.topology for client in clients), Topology())
    return {
        "vhosts": [{"name": VHOST}],
        "users": [_user(name, passwords[name]) for name in names(clients, producers)],
        "permissions": [
            *(_permissions(client, clients) for client in clients),
            *map(_permission_to_publish, producers),
        ],
        **_objects(topology),
    }


def load(definitions: Mapping[str, Any], origin: str, env: Mapping[str, str]) -> None:
    """Give definitions to a running RabbitMQ through its management plugin; what they do not name stays as it is.

    Raises SettingsError, or OSError when RabbitMQ does not take them.
    """
    reader = Environment(env)
    password = reader.secret("RABBITMQ_ADMIN_PASSWORD", demo="demo-admin")
    reader.finish()
    credentials = base64.b64encode(f"{ADMINISTRATOR}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    body = json.dumps(definitions).encode()
    request = urllib.request.Request(f"{origin}/api/definitions", body, headers)  # noqa: S310  # the operator's own URL
    with urllib.request.urlopen(request, timeout=LOADED_WITHIN):  # noqa: S310  # as above
        pass


def _user(name: str, password: str) -> dict[str, str]:
    return {
        "name": name,
        "password_hash": password_hash(password, secrets.token_bytes(4)),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "",
    }


def password_hash(password: str, salt: bytes) -> str:
    """Return a password as RabbitMQ keeps it: the salt, and the digest of salt and password."""
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _permissions(client: Client, clients: Collection[Client]) -> dict[str, str]:
    """Binding a queue counts as writing to it and reading from the exchange.

    Declaring and deleting count as configuring, so that nobody may configure the exchange of another.
    """
    queues = [queue.name for queue in client.topology.queues]
    others = {other.exchange for other in clients if other is not client}
    exchanges = [exchange.name for exchange in client.topology.exchanges if exchange.name not in others]
    # What a service gives up on, it publishes itself to where a queue says that its dead letters go.
    dead = [dict(queue.arguments).get("x-dead-letter-exchange", "") for queue in client.topology.queues]
    sources = [binding.exchange for binding in client.topology.bindings]
    return {
        "user": client.name,
        "vhost": VHOST,
        "configure": _one_of(exchanges + queues),
        "write": _one_of([client.exchange, *queues, *(str(name) for name in dead if name)]),
        "read": _one_of(sources + queues),
    }


def _permission_to_publish(producer: Producer) -> dict[str, str]:
    return {
        "user": producer.name,
        "vhost": VHOST,
        "configure": NOTHING,
        "write": _one_of([producer.exchange]),
        "read": NOTHING,
    }


def _one_of(names: Iterable[str]) -> str:
    return f"^({'|'.join(re.escape(name) for name in dict.fromkeys(names))})$"


def _objects(topology: Topology) -> dict[str, list[dict[str, Any]]]:
    lasting = {"vhost": VHOST, "durable": True, "auto_delete": False}
    return {
        "exchanges": [
            {**lasting, "name": exchange.name, "type": exchange.kind, "internal": False, "arguments": {}}
            for exchange in topology.exchanges
        ],
        "queues": [{**lasting, "name": queue.name, "arguments": dict(queue.declared())} for queue in topology.queues],
        "bindings": [
            {
                "vhost": VHOST,
                "source": binding.exchange,
                "destination": binding.queue,
                "destination_type": "queue",
                "routing_key": binding.key,
                "arguments": {},
            }
            for binding in topology.bindings
        ],
    }
