import re

import pytest

from devstack.rabbitmq_definitions import Client, clients, definitions, password_hash, read_passwords
from service_chassis.messaging.topology import consuming, publishing
from service_chassis.settings import SettingsError

BAKER = Client("baker", "bread.events", publishing("bread.events") + consuming("baker.events", [("milk.events", "a")]))
DAIRY = Client("dairy", "milk.events", publishing("milk.events"))
PASSWORDS = {"baker": "yeast", "dairy": "cream"}


@pytest.mark.parametrize(
    ("permission", "name", "granted"),
    [
        ("write", "bread.events", True),
        ("write", "milk.events", False),
        ("write", "amq.default", False),
        ("write", "breadXevents", False),
        ("write", "baker.events", True),
        ("read", "baker.events.dead", True),
        ("read", "milk.events", True),
        ("read", "bread.events", False),
        ("configure", "baker.events", True),
        ("configure", "dairy.events", False),
    ],
)
def test_a_service_may_do_what_its_topology_needs_and_nothing_else(
    permission: str, name: str, *, granted: bool
) -> None:
    baker, _ = definitions([BAKER, DAIRY], PASSWORDS)["permissions"]

    assert bool(re.search(baker[permission], name)) is granted


def test_queues_are_defined_with_the_arguments_the_services_declare() -> None:
    defined = definitions([BAKER], PASSWORDS)

    assert {queue["name"]: queue["arguments"] for queue in defined["queues"]} == {
        queue.name: queue.declared() for queue in BAKER.topology.queues
    }
    assert [(binding["source"], binding["destination"]) for binding in defined["bindings"]] == [
        ("milk.events", "baker.events")
    ]


def test_every_service_publishes_to_an_exchange_of_its_own() -> None:
    exchanges = [client.exchange for client in clients()]

    assert len(exchanges) == len(set(exchanges)) > 1


def test_a_password_is_hashed_as_the_documentation_of_rabbitmq_shows() -> None:
    assert password_hash("test12", bytes.fromhex("908DC60A")) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


def test_production_refuses_the_passwords_of_the_demo() -> None:
    env = {"STEWARD_PROFILE": "production", "BAKER_BROKER_PASSWORD": "demo-baker"}

    with pytest.raises(SettingsError, match="BAKER_BROKER_PASSWORD is the demo value"):
        read_passwords(env, ["baker"])
