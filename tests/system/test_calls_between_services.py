"""Services call each other in their own name, and nobody calls in theirs."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

import task_service.bootstrap
import user_service.bootstrap
from service_chassis.breaker import Breaker
from service_chassis.clients import Answer, ClientCredentials, Request, ServiceClient
from service_chassis.clock import ManualClock
from service_chassis.http.kit import EXTENSION
from service_chassis.service import Service
from service_chassis.testing.waiting import wait_until
from task_service.usecases.directory import Directory
from tests.running.people import person
from tests.running.steward import TASK, USER, Steward

LOOKUP = "/internal/users/lookup"


def test_nobody_but_a_service_is_told_of_users_past_the_gateway(system: Steward) -> None:
    address = person("anna", days_away=0).email
    system.register(address, "manager")
    body: dict[str, list[str]] = {"ids": []}

    answers = [
        door.at(system.services[USER]).post(LOOKUP, body)
        for door in (system.door, system.sign_in(address), system.admin)
    ]

    assert [(answer.status, answer.error) for answer in answers] == [
        (401, "unauthenticated"),
        (403, "forbidden"),
        (403, "forbidden"),
    ]
    assert system.door.post(LOOKUP, body).status == 404


class Services:
    """user-service and task-service as their bootstraps put them together, on one clock."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
        self.stop = threading.Event()
        self.user = self._started(user_service.bootstrap.bootstrap, folder / "user.db")
        self.task = self._started(task_service.bootstrap.bootstrap, folder / "task.db")
        self._web = self.user.make_web().test_client()
        self._credentials = ClientCredentials(
            self._client(), TASK, self.task.parts.settings.client_secret, now=lambda: self.clock.now().timestamp()
        )
        self._directory = Directory(self._client(self._credentials))

    def close(self) -> None:
        self.stop.set()
        for poller in [thread for thread in threading.enumerate() if thread.name == "revocations"]:
            poller.join(10)
        self.user.close()
        self.task.close()

    def registered(self) -> UUID:
        answer = self._web.post("/api/v1/users", json={"email": "anna@example.com", "password": "correct horse"})
        return UUID(answer.get_json()["data"]["user"]["id"])

    def known(self, user_id: UUID) -> list[UUID]:
        wait_until(lambda: self._web.application.extensions[EXTENSION].revocations.fresh)
        return [answer.id for answer in self._directory.newer(self.task.units.read, [user_id])]

    def status_with(self, token: str) -> int:
        answer = self._web.post(LOOKUP, json={"ids": []}, headers={"Authorization": f"Bearer {token}"})
        return answer.status_code

    @property
    def token(self) -> str:
        return self._credentials()

    def _started(self, bootstrap: Callable[..., Service], database: Path) -> Service:
        env = {"DATABASE_URL": f"sqlite:///{database}", "ARGON2_MEMORY_KIB": "8", "LOG_LEVEL": "ERROR"}
        service = bootstrap(env, CollectorRegistry(), self.stop, clock=self.clock)
        service.migrate()
        return service

    def _client(self, token: Callable[[], str] | None = None) -> ServiceClient:
        return ServiceClient("", breaker=Breaker(USER), token=token, transport=self._carried)

    def _carried(self, request: Request) -> Answer:
        answer = self._web.open(
            request.url, method=request.method, headers=dict(request.headers), data=request.body or b""
        )
        return Answer(answer.status_code, answer.data)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    services = Services(tmp_path)
    yield services
    services.close()


def test_task_service_asks_on_with_another_token_when_the_one_it_has_expires(services: Services) -> None:
    anna = services.registered()
    assert services.known(anna) == [anna]
    first = services.token
    services.clock.advance(timedelta(minutes=11))

    assert services.known(anna) == [anna]

    assert (services.status_with(first), services.status_with(services.token)) == (401, 200)
