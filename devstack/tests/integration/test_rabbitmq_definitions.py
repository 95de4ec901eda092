"""The definitions as a real RabbitMQ takes them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from devstack.rabbitmq_definitions import PRODUCERS, clients, definitions, names, read_passwords
from service_chassis.testing.servers.process import Guard
from service_chassis.testing.servers.rabbitmq import PrivateRabbitMQ
from user_service.messaging.requests import NotificationRequested

pytestmark = pytest.mark.servers

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
PRODUCER = "notification-producer:demo-notification-producer"


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
    with pika.BlockingConnection(pika.URLParameters(broker.address_of(PRODUCER))) as connection:

        def refused(method: str, *arguments: object) -> int:
            channel = connection.channel()
            channel.confirm_delivery()
            with pytest.raises(ChannelClosedByBroker) as closed:
                getattr(channel, method)(*arguments)
            return int(closed.value.reply_code)

        assert {
            refused("basic_publish", "user.events", "user.registered.v1", b"{}"),
            refused("basic_publish", "notifications.dlx", "failed", b"{}"),
            refused("basic_publish", "", "email.queue", b"{}"),
            refused("basic_get", "email.queue"),
            refused("queue_purge", "email.queue"),
            refused("queue_declare", "own.queue"),
            refused("queue_bind", "push.queue", "notifications.direct", "email"),
            refused("exchange_declare", "own.exchange"),
            refused("exchange_delete", "notifications.direct"),
        } == {403}
