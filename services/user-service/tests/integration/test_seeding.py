"""S3-22, S3-23, C-12: a demo begins with two admins, and production does not begin with either.

Both begin with the services that call this one.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from sqlalchemy import select

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.service import Service
from service_chassis.settings import SettingsError
from service_chassis.testing.plugin import only_sqlite
from user_service.bootstrap import bootstrap
from user_service.config import Settings
from user_service.model.service_client import Scope, ServiceClient
from user_service.model.user import Role, Status, User
from user_service.usecases import registration, seeding, service_clients

Start = Callable[..., Service]
CLIENTS = {"task-service": "a long secret that task-service shares"}
DEMO = [("admin@example.com", None), ("superuser@example.com", "admin")]


@pytest.fixture
def start(database: Database, env: dict[str, str], clock: ManualClock) -> Iterator[Start]:
    """Starts the service in a process of its own, as far as a process is its memory, over one database."""
    started = []
    stop = threading.Event()

    def start(**settings: str) -> Service:
        started.append(bootstrap(env | settings, CollectorRegistry(), stop, clock=clock))
        return started[-1]

    yield start
    stop.set()
    for service in started:
        service.close()


@pytest.fixture
def demo(start: Start) -> Service:
    service = start()
    service.seed()
    return service


def admins(service: Service) -> list[User]:
    active = select(User).where(User.role == Role.ADMIN, User.status == Status.ACTIVE)
    with service.units.read() as uow:
        return list(uow.session.scalars(active.order_by(User.number)))


def names(service: Service) -> list[tuple[str, str | None]]:
    return [(user.email, user.username) for user in admins(service)]


def seed_for_production(service: Service) -> None:
    seeding.seed(service.units, "demo-key-encryption-secret", service.parts.passwords, CLIENTS, demo=False)


def clients(service: Service) -> list[ServiceClient]:
    with service.units.read() as uow:
        return list(uow.session.scalars(select(ServiceClient).order_by(ServiceClient.client_id)))


def are_let_in(service: Service, **secrets: str) -> bool:
    with service.units.read() as uow:
        return service_clients.are_let_in(uow, {f"{name}-service": secret for name, secret in secrets.items()})


def test_two_admins_are_ready(demo: Service) -> None:
    """S0-12, S3-22, S3-23."""
    for name, password in (("admin@example.com", "adminpass"), ("admin", "admin"), ("superuser@example.com", "admin")):
        assert demo.parts.sign_in(name, password).user.role == Role.ADMIN
    assert names(demo) == DEMO


def test_seeding_again_changes_nothing(demo: Service, start: Start) -> None:
    demo.seed()
    start().seed()

    assert names(demo) == DEMO


def test_several_processes_that_start_at_once_make_two_admins(start: Start) -> None:
    services = [start() for _ in range(4)]

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda service: service.seed(), services))

    assert names(services[0]) == DEMO


@only_sqlite
def test_an_admin_who_was_switched_off_does_not_come_back(demo: Service) -> None:
    with demo.units.write() as uow:
        uow.users.get(admins(demo)[1].id).status = "deactivated"

    demo.seed()

    assert names(demo) == DEMO[:1]


@only_sqlite
def test_names_that_others_have_are_left_to_them(start: Start) -> None:
    service = start()
    with service.units.write() as uow:
        registration.register(uow, "anna@example.com", "Anna", None, username="admin")

    service.seed()

    assert names(service) == DEMO[:1]


@only_sqlite
@pytest.mark.parametrize("kept", [0, 1])
def test_production_does_not_start_while_one_still_has_its_demo_password(demo: Service, kept: int) -> None:
    with demo.units.write() as uow:
        uow.users.get(admins(demo)[1 - kept].id).password_hash = demo.parts.passwords.hash("a password of one's own")

    with pytest.raises(SettingsError, match=DEMO[kept][0]):
        seed_for_production(demo)


@only_sqlite
def test_production_finds_the_demo_admin_by_either_name(demo: Service) -> None:
    with demo.units.write() as uow:
        first, second = (uow.users.get(user.id) for user in admins(demo))
        first.password_hash = demo.parts.passwords.hash("a password of one's own")
        second.readdress("boss@example.com")

    with pytest.raises(SettingsError, match=r"boss@example\.com"):
        seed_for_production(demo)


@only_sqlite
def test_production_says_of_both_at_once(demo: Service) -> None:
    with pytest.raises(SettingsError) as raised:
        seed_for_production(demo)

    assert len(raised.value.problems) == 2


@only_sqlite
def test_a_password_as_short_as_the_demos_is_for_nobody_else(demo: Service) -> None:
    web: FlaskClient = demo.make_web().test_client()

    refused = web.post("/api/v1/users", json={"email": "anna@example.com", "password": "admin"})

    assert refused.get_json()["error"] == "weak_password"


def test_the_services_of_a_demo_are_let_in_with_what_they_have_by_default(demo: Service) -> None:
    assert are_let_in(demo, task=Settings.read({}).service_clients["task-service"])


def test_seeding_again_leaves_services_as_they_are(start: Start) -> None:
    service = start(SERVICE_CLIENTS="task-service:bees,mail-service:post")
    service.seed()
    before = [client.id for client in clients(service)]

    service.seed()
    start(SERVICE_CLIENTS="mail-service:post,task-service:bees").seed()

    assert [client.id for client in clients(service)] == before
    assert len(before) == 2


def test_a_service_with_another_secret_is_let_in_with_that_one_alone(start: Start) -> None:
    start(SERVICE_CLIENTS="task-service:bees,mail-service:post").seed()

    renewed = start(SERVICE_CLIENTS="task-service:wasps,mail-service:post")
    renewed.seed()

    assert are_let_in(renewed, task="wasps", mail="post")
    assert not are_let_in(renewed, task="bees")
    assert len(clients(renewed)) == 2


def test_several_processes_that_start_at_once_let_each_service_in_once(start: Start) -> None:
    start(SERVICE_CLIENTS="task-service:bees").seed()
    services = [start(SERVICE_CLIENTS="task-service:wasps,mail-service:post") for _ in range(4)]

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda service: service.seed(), services))

    assert are_let_in(services[0], task="wasps", mail="post")
    assert len(clients(services[0])) == 2


@only_sqlite
def test_a_service_that_was_let_in_by_hand_stays(demo: Service, start: Start) -> None:
    with demo.units.write() as uow:
        secret = service_clients.create(uow, "mail-service", [Scope.NOTIFY]).plain

    start(SERVICE_CLIENTS="task-service:wasps").seed()

    assert are_let_in(demo, mail=secret, task="wasps")


@only_sqlite
def test_own_services_may_ask_for_what_they_need_and_others_for_what_they_were_given(start: Start) -> None:
    service = start(SERVICE_CLIENTS="task-service:bees,mail-service:post")
    with service.units.write() as uow:
        service_clients.create(uow, "mail-service", [Scope.NOTIFY])
        service_clients.create(uow, "task-service", Scope)

    service.seed()

    assert {client.client_id: client.scope for client in clients(service)} == {
        "mail-service": "notifications.send",
        "task-service": "snapshots.read users.states",
    }
    assert are_let_in(service, mail="post", task="bees")


@only_sqlite
def test_production_lets_its_services_in(start: Start) -> None:
    service = start()

    seed_for_production(service)

    assert are_let_in(service, task=CLIENTS["task-service"])
    assert admins(service) == []
