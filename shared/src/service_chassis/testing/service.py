"""Fixtures around one service as its bootstrap puts it together; its conftest has `bootstrap` and `migrations`.

def test_a_run_tells_that_it_has_started(service, hear, published): ...
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from prometheus_client import CollectorRegistry

from service_chassis.clock import ManualClock
from service_chassis.messaging import failures, outbox
from service_chassis.messaging.envelope import Event, Outgoing, batched, decoded, encoded_batch, received
from service_chassis.service import Service
from service_chassis.testing.conformance.backbone import delivery
from service_chassis.unit_of_work import Units

Bootstrap: TypeAlias = Callable[..., Service]
Hear: TypeAlias = Callable[[Sequence[Outgoing]], None]
Published: TypeAlias = Callable[[type[Any]], list[Event]]


@pytest.fixture
def env(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the service."""
    return {"DATABASE_URL": database_url, "BROKER_URL": f"sqlite:///{tmp_path}/broker.db", "LOG_LEVEL": "ERROR"}


@pytest.fixture
def service(bootstrap: Bootstrap, env: dict[str, str], clock: ManualClock) -> Iterator[Service]:
    stop = threading.Event()
    service = bootstrap(env, CollectorRegistry(), stop, clock=clock)
    yield service
    stop.set()
    service.close()


@pytest.fixture
def units(service: Service) -> Units[Any]:
    return service.units


@pytest.fixture
def hear(service: Service, clock: ManualClock) -> Iterator[Hear]:
    """Hands events to the consumer of a worker, those of one type as one message; every one has to succeed."""
    worker = service.make_worker()

    def hear(events: Sequence[Outgoing]) -> None:
        worker.consumer.handle([delivery(encoded_batch(batch, clock.now())) for batch in batched(events)])
        with service.units.read() as uow:
            assert failures.listed(uow.session, failures.Filter(), state=failures.RETRYING) == []
            assert failures.listed(uow.session, failures.Filter()) == []

    yield hear
    worker._parts.broker.close()  # noqa: SLF001  # A worker that was never started has nothing to stop.


@pytest.fixture
def published(service: Service) -> Published:
    """Returns the events of a type in the outbox as a consumer reads them, which checks them against the contract."""

    def published(contract: type[Any]) -> list[Event]:
        with service.units.read() as uow:
            messages = [message for _, message in outbox.pending(uow.session, 10_000)]
        chosen = [message for message in messages if message.routing_key == contract.type]
        return [
            received(envelope, contract)
            for message in chosen
            for envelope in decoded(message.content_type, message.body)
        ]

    return published
