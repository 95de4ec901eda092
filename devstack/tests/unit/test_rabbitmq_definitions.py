import re

import pytest

from devstack.rabbitmq_definitions import (
    PRODUCERS,
    Client,
    Producer,
    clients,
    definitions,
    names,
    password_hash,
    read_passwords,
)
from service_chassis.messaging.topology import consuming, publishing
from service_chassis.settings import SettingsError

BAKER = Client("baker", "bread.events", publishing("bread.events") + consuming("baker.events", [("milk.events", "a")]))
DAIRY = Client("dairy", "milk.events", publishing("milk.events"))
FARM = Producer("farm", "wheat.direct")
PASSWORDS = {"baker": "yeast", "dairy": "cream", "farm": "straw"}


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
        ("configure", "bread.events", True),
        ("configure", "milk.events", False),
        ("configure", "dairy.events", False),
    ],
)
def test_a_service_may_do_what_its_topology_needs_and_nothing_else(
    permission: str, name: str, *, granted: bool
) -> None:
    baker, _ = definitions([BAKER, DAIRY], [], PASSWORDS)["permissions"]

    assert bool(re.search(baker[permission], name)) is granted


@pytest.mark.parametrize("permission", ["configure", "write", "read"])
@pytest.mark.parametrize(
    "name", ["wheat.direct", "wheatXdirect", "wheat.direct2", "bread.events", "baker.events", "amq.default"]
)
def test_a_producer_outside_may_publish_to_one_exchange_and_do_nothing_else(permission: str, name: str) -> None:
    defined = definitions([BAKER], [FARM], PASSWORDS)
    (farm,) = [each for each in defined["permissions"] if each["user"] == "farm"]

    assert bool(re.search(farm[permission], name)) is ((permission, name) == ("write", "wheat.direct"))
    assert [user["tags"] for user in defined["users"] if user["name"] == "farm"] == [""]


def test_there_is_a_producer_of_notifications_whose_password_production_demands() -> None:
    assert [(producer.name, producer.exchange) for producer in PRODUCERS] == [
        ("notification-producer", "notifications.direct")
    ]
    with pytest.raises(SettingsError, match="NOTIFICATION_PRODUCER_BROKER_PASSWORD is required"):
        read_passwords({"STEWARD_PROFILE": "production"}, names([], PRODUCERS))


def test_user_service_passes_on_what_it_gives_up_and_publishes_no_requests() -> None:
    services = clients()
    defined = definitions(services, [], {service.name: "password" for service in services})
    (write,) = [each["write"] for each in defined["permissions"] if each["user"] == "user-service"]

    assert [bool(re.search(write, name)) for name in ("notifications.dlx", "notifications.direct")] == [True, False]


def test_queues_are_defined_with_the_arguments_the_services_declare() -> None:
    defined = definitions([BAKER], [], PASSWORDS)

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
