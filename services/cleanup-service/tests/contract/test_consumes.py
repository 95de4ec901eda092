"""The least that must be in a message for this service to work with it; whoever publishes is held to it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import insert

import event_contracts as contracts
from cleanup_service.messaging.subscriptions import subscriptions
from cleanup_service.model.known_user import KnownUser
from cleanup_service.model.policy import Policy
from cleanup_service.model.run import Member, Run, Trigger
from cleanup_service.persistence.unit_of_work import UnitOfWork
from service_chassis.messaging import failures
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import SINGLE, Received, decoded, received
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from service_chassis.unit_of_work import Units

CONSUMED = sorted(Path(__file__).with_name("consumes").glob("*.json"))
ANNA = UUID("019bb15d-b5f6-7088-8231-74d06cde3e3a")
RUN = UUID("019cea12-65da-71ad-a698-aaef14f29c25")
DECEMBER = datetime(2029, 12, 1, tzinfo=UTC)
AN_HOUR_AGO = datetime(2030, 1, 15, 11, tzinfo=UTC)
NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)

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


def known(units: Units[UnitOfWork]) -> tuple[Any, ...]:
    with units.read() as uow:
        row = uow.session.get_one(KnownUser, ANNA)
        return row.role, row.status, row.last_activity_at, row.version


@only_sqlite
@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (contracts.UserRegistered, ("user", "active", DECEMBER, 1)),
        (contracts.UserUpdated, ("manager", "active", DECEMBER, 2)),
        (contracts.UserDeactivated, ("user", "deactivated", DECEMBER, 2)),
        (contracts.UserReactivated, ("user", "active", AN_HOUR_AGO, 3)),
        (contracts.UserPurged, ("user", "purged", NOON, 4)),
        (contracts.UserActivityRecorded, ("user", "unknown", AN_HOUR_AGO, 0)),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_what_is_told_of_a_user_is_known_afterwards(
    take: Callable[..., None], units: Units[UnitOfWork], contract: Any, expected: tuple[Any, ...]
) -> None:
    take(contract)

    assert known(units) == expected


@only_sqlite
def test_a_watermark_is_noted(take: Callable[..., None], units: Units[UnitOfWork]) -> None:
    take(contracts.UserWatermark)

    with units.read() as uow:
        assert uow.known_users.watermark() == NOON


@only_sqlite
@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (contracts.UserDeactivated, ("deactivated", None)),
        (contracts.UserDeactivationRefused, ("refused", "active_since_plan")),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_an_answer_settles_the_member_it_is_about(
    take: Callable[..., None], asked: Units[UnitOfWork], contract: Any, expected: tuple[str, str | None]
) -> None:
    take(contract)

    with asked.read() as uow:
        member = uow.session.get_one(Member, (1, ANNA))
    assert (member.outcome, member.reason) == expected


@pytest.fixture
def asked(units: Units[UnitOfWork], policy: Policy) -> Units[UnitOfWork]:
    """A run that has asked about the user of the messages."""
    with units.write() as uow:
        run = Run.start(policy, Trigger.MANUAL, "ticket-7", at=uow.now)
        run.id = RUN
        run.plan(1, None, at=uow.now)
        uow.runs.add(run)
        member = {"run_number": run.number, "user_id": ANNA, "last_activity_at": DECEMBER, "asked": 0}
        uow.session.execute(insert(Member).values(member))
    return units
