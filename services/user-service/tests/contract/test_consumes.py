"""The least that must be in a message for this service to work with it; whoever publishes is held to it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

import event_contracts as contracts
from event_contracts import UserDeactivationRefused, UserWatermark
from service_chassis.clock import ManualClock
from service_chassis.messaging.broker import Delivery
from service_chassis.messaging.envelope import SINGLE, Event, Received, decoded, received
from service_chassis.testing.plugin import only_sqlite
from user_service.messaging.subscriptions import subscriptions

CONSUMED = sorted(Path(__file__).with_name("consumes").glob("*.json"))
every_message = pytest.mark.parametrize("path", CONSUMED, ids=lambda path: path.stem)

Published = Callable[[type[contracts.Contract]], list[Event]]
Hear = Callable[[type[contracts.Contract]], Received]


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


@pytest.fixture
def hear(deliver: Callable[..., None]) -> Hear:
    """Handle the message of a contract, and return it."""

    def handled(contract: type[contracts.Contract]) -> Received:
        path = next(path for path in CONSUMED if path.stem == contract.type)
        deliver(Delivery(0, str(read(path).id), contract.exchange, contract.type, SINGLE, path.read_bytes()))
        return read(path)

    return handled


@only_sqlite
def test_a_request_to_switch_somebody_off_is_handled(hear: Hear, published: Published) -> None:
    request = hear(contracts.DeactivationRequested)

    (answer,) = published(UserDeactivationRefused)
    assert answer.data.user_id == UUID(request.subject)
    assert (answer.data.reason, answer.causation_id) == ("unknown_user", str(request.id))


@only_sqlite
def test_a_run_that_starts_is_told_the_watermark_it_waits_for(
    hear: Hear, published: Published, clock: ManualClock
) -> None:
    start = hear(contracts.RunStarted)

    (answer,) = published(UserWatermark)
    assert (answer.data.as_of, answer.causation_id) == (clock.now(), str(start.id))


@only_sqlite
def test_a_request_to_purge_somebody_nobody_knows_changes_nothing(hear: Hear, published: Published) -> None:
    hear(contracts.PurgeRequested)

    assert published(contracts.UserPurged) == []


@only_sqlite
def test_a_digest_for_somebody_nobody_knows_is_dropped(hear: Hear, published: Published) -> None:
    hear(contracts.AlertDigestDue)

    assert published(contracts.NotificationReady) == []


@only_sqlite
@pytest.mark.parametrize("contract", [contracts.NotificationDelivered, contracts.NotificationFailed])
def test_the_outcome_of_a_notification_that_is_kept_no_longer_is_passed_over(hear: Hear, contract: Any) -> None:
    hear(contract)
