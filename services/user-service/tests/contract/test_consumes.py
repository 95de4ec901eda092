"""The least that must be in a message for this service to work with it; whoever publishes is held to it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

import event_contracts as contracts
from event_contracts import UserDeactivationRefused
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import SINGLE, Event, Received, decoded, received
from service_chassis.testing.plugin import only_sqlite
from user_service.messaging.subscriptions import subscriptions

CONSUMED = sorted(Path(__file__).with_name("consumes").glob("*.json"))
every_message = pytest.mark.parametrize("path", CONSUMED, ids=lambda path: path.stem)


def read(path: Path) -> Received:
    (envelope,) = decoded(SINGLE, path.read_bytes())
    return envelope


def test_there_is_a_message_for_everything_the_service_subscribes_to() -> None:
    subscribed = {key for _, key in subscriptions(timedelta(hours=1)).routes()}

    assert {path.stem for path in CONSUMED} == subscribed


@every_message
def test_a_message_is_what_its_contract_says_and_nothing_besides(path: Path) -> None:
    envelope = read(path)
    contract = contracts.by_type[envelope.type]

    event = received(envelope, contract)

    assert (path.stem, envelope.source) == (contract.type, contract.source)
    assert contracts.validated(event.data) == event.data
    assert msgspec.json.decode(envelope.data).keys() <= {field.name for field in msgspec.structs.fields(contract)}


@only_sqlite
def test_a_request_to_switch_somebody_off_is_handled(
    deliver: Callable[..., None], published: Callable[[type[contracts.Contract]], list[Event]]
) -> None:
    (path,) = CONSUMED
    contract = contracts.DeactivationRequested

    deliver(Delivery(0, str(read(path).id), contract.exchange, contract.type, SINGLE, path.read_bytes()))

    (answer,) = published(UserDeactivationRefused)
    assert answer.data.user_id == UUID(read(path).subject)
    assert (answer.data.reason, answer.causation_id) == ("unknown_user", str(read(path).id))
