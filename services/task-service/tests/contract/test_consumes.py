"""The least that must be in a message for this service to work with it; whoever publishes is held to it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

import event_contracts as contracts
from service_chassis.messaging import failures
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import SINGLE, Received, decoded, received
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from task_service.messaging.subscriptions import subscriptions
from task_service.model.known_user import KnownUser

CONSUMED = sorted(Path(__file__).with_name("consumes").glob("*.json"))
ANNA = UUID("019bb15d-b5f6-7088-8231-74d06cde3e3a")
AN_HOUR_AGO = datetime(2030, 1, 15, 11, tzinfo=UTC)

every_message = pytest.mark.parametrize("path", CONSUMED, ids=lambda path: path.stem)


def read(path: Path) -> Received:
    (envelope,) = decoded(SINGLE, path.read_bytes())
    return envelope


def test_there_is_a_message_for_everything_the_service_subscribes_to() -> None:
    assert {path.stem for path in CONSUMED} == {key for _, key in subscriptions().routes()}


@every_message
def test_a_message_is_what_its_contract_says_and_nothing_besides(path: Path) -> None:
    envelope = read(path)
    contract = contracts.by_type[envelope.type]

    event = received(envelope, contract)

    assert (path.stem, envelope.source) == (contract.type, contract.source)
    assert contracts.validated(event.data) == event.data
    assert (event.version is not None) == (contract.kind == contracts.Kind.STATE)
    assert msgspec.json.decode(envelope.data).keys() <= {field.name for field in msgspec.structs.fields(contract)}


@pytest.fixture
def take(service: Service) -> Iterator[Callable[[type[contracts.Contract]], None]]:
    """Hands the message of a type to the consumer of a worker."""
    worker = service.make_worker()

    def take(contract: type[contracts.Contract]) -> None:
        (path,) = [path for path in CONSUMED if path.stem == contract.type]
        message_id = str(read(path).id)
        worker.consumer.handle([Delivery(0, message_id, contract.exchange, contract.type, SINGLE, path.read_bytes())])
        with service.units.read() as uow:
            assert failures.listed(uow.session, failures.Filter(), state=failures.RETRYING) == []
            assert failures.listed(uow.session, failures.Filter()) == []

    yield take
    worker._parts.broker.close()


@only_sqlite
@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (contracts.UserRegistered, ("user", "active", None, 1)),
        (contracts.UserUpdated, ("manager", "active", None, 2)),
        (contracts.UserDeactivated, ("user", "deactivated", None, 2)),
        (contracts.UserReactivated, ("user", "active", AN_HOUR_AGO, 3)),
        (contracts.UserPurged, ("user", "purged", None, 4)),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_what_is_told_of_a_user_is_known_afterwards(
    take: Callable[..., None], service: Service, contract: Any, expected: tuple[Any, ...]
) -> None:
    take(contract)

    with service.units.read() as uow:
        row = uow.session.get_one(KnownUser, ANNA)
    assert (row.role, row.status, row.reactivated_at, row.version) == expected
