"""The definitions as a real RabbitMQ takes them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from devstack.rabbitmq_definitions import PRODUCERS, Client, clients, definitions, names, read_passwords
from service_chassis.messaging.broker import Message, Outcome
from service_chassis.messaging.rabbitmq import RabbitMQ
from service_chassis.testing.servers.process import Guard
from service_chassis.testing.servers.rabbitmq import PrivateRabbitMQ
from user_service.messaging.requests import NotificationRequested

pytestmark = pytest.mark.servers

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
PRODUCER = "notification-producer:demo-notification-producer"
SERVICES = {client.name: client for client in clients()}
ACCESS_REFUSED = 403


class Defined(PrivateRabbitMQ):
    """A RabbitMQ that starts with the definitions of the demo."""

    def _prepare(self, folder: Path, guard: Guard) -> None:
        super()._prepare(folder, guard)
        services = clients()
        defined = definitions(services, PRODUCERS, read_passwords({}, names(services, PRODUCERS)))
        # A server that has users from its definitions makes no guest of its own.
        defined["users"].append({"name": "guest", "password": "guest", "tags": "administrator"})
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        defined["permissions"].append({"user": "guest", "vhost": "/", **everything})
        (folder / "definitions.json").write_text(json.dumps(defined))
        (folder / "rabbitmq.conf").write_text(f"load_definitions = {folder}/definitions.json\n")

    def address_of(self, credentials: str) -> str:
        return self.url.replace("guest:guest", credentials)


@pytest.fixture(scope="module")
def broker() -> Iterator[Defined]:
    with Defined() as broker:
        yield broker


def test_a_producer_publishes_as_operations_shows(broker: Defined) -> None:
    printed = re.search(r"<!-- publish -->.*?<<'EOF'\n(.*?)\nEOF\n", OPERATIONS.read_text(), re.DOTALL)
    assert printed
    script = printed[1].replace(f"amqp://{PRODUCER}@rabbitmq:5672/", broker.address_of(PRODUCER))

    subprocess.run([sys.executable, "-"], input=script, text=True, timeout=30, check=True)

    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        _, properties, body = connection.channel().basic_get("email.queue", auto_ack=True)
    assert properties.delivery_mode == 2
    assert msgspec.json.decode(body, type=NotificationRequested).template_code == "welcome"


def test_a_producer_may_do_nothing_else(broker: Defined) -> None:
    assert (
        allowed_of(
            broker,
            PRODUCER,
            [
                ("basic_publish", "user.events", "user.registered.v1", b"{}"),
                ("basic_publish", "notifications.dlx", "failed", b"{}"),
                ("basic_publish", "", "email.queue", b"{}"),
                ("basic_get", "email.queue"),
                ("queue_purge", "email.queue"),
                ("queue_declare", "own.queue"),
                ("queue_bind", "push.queue", "notifications.direct", "email"),
                ("exchange_declare", "own.exchange"),
                ("exchange_delete", "notifications.direct"),
            ],
        )
        == []
    )


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_service_declares_publishes_and_reads_what_is_its_own(broker: Defined, service: Client) -> None:
    with closing(RabbitMQ(broker.address_of(credentials(service)))) as own:
        own.declare(service.topology)
        message = Message("message-1", service.exchange, "unheard.of.v1", "application/json", b"{}")
        outcomes = own.publish([message])
        for queue in service.topology.queues:
            own.subscribe(queue.name).close()

    # Nobody is bound to that key: the exchange took the message, and gave it back.
    assert outcomes == [Outcome.UNROUTABLE]


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_service_may_do_nothing_with_what_is_another_s(broker: Defined, service: Client) -> None:
    foreign = [each for each in SERVICES.values() if each is not service]
    exchanges = [each.exchange for each in foreign]
    queues = [queue.name for each in foreign for queue in each.topology.queues]
    (own, *_) = (queue.name for queue in service.topology.queues)

    assert (
        allowed_of(
            broker,
            credentials(service),
            [
                *(("basic_publish", exchange, "user.purged.v1", b"{}") for exchange in ("", "amq.topic", *exchanges)),
                *(("exchange_declare", exchange, "topic", False, True) for exchange in exchanges),
                *(("exchange_delete", exchange) for exchange in exchanges),
                *(("exchange_bind", exchange, service.exchange, "#") for exchange in exchanges),
                *(("basic_get", queue) for queue in queues),
                *(("queue_purge", queue) for queue in queues),
                *(("queue_delete", queue) for queue in queues),
                *(("queue_bind", queue, service.exchange, "#") for queue in queues),
                *(("queue_unbind", queue, exchange, "#") for queue in queues for exchange in exchanges),
                ("queue_bind", own, "amq.topic", "#"),
                ("queue_declare", "unheard.of"),
                ("exchange_declare", "unheard.of"),
            ],
        )
        == []
    )


def credentials(service: Client) -> str:
    return f"{service.name}:demo-{service.name}"


def allowed_of(broker: Defined, credentials: str, tried: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Try each of these, and return what was not refused for want of a right."""
    allowed = []
    with pika.BlockingConnection(pika.URLParameters(broker.address_of(credentials))) as connection:
        for method, *arguments in tried:
            channel = connection.channel()
            channel.confirm_delivery()
            try:
                getattr(channel, str(method))(*arguments)
            except ChannelClosedByBroker as closed:
                if closed.reply_code == ACCESS_REFUSED:
                    continue
            allowed.append((method, *arguments))
    return allowed
