"""The least that must be in a message for this service to work with it; whoever publishes is held to it."""

from pathlib import Path

import msgspec
import pytest

import event_contracts as contracts
from delivery_service.mailing.folder import MailFolder
from delivery_service.messaging.subscriptions import subscriptions
from service_chassis.messaging.envelope import SINGLE, Received, decoded, received

CONSUMED = sorted(Path(__file__).with_name("consumes").glob("*.json"))

every_message = pytest.mark.parametrize("path", CONSUMED, ids=lambda path: path.stem)


def read(path: Path) -> Received:
    (envelope,) = decoded(SINGLE, path.read_bytes())
    return envelope


def test_there_is_a_message_for_everything_the_service_subscribes_to() -> None:
    assert {path.stem for path in CONSUMED} == {key for _, key in subscriptions(MailFolder(Path("nowhere"))).routes()}


@every_message
def test_a_message_is_what_its_contract_says_and_nothing_besides(path: Path) -> None:
    envelope = read(path)
    contract = contracts.by_type[envelope.type]

    event = received(envelope, contract)

    assert (path.stem, envelope.source) == (contract.type, contract.source)
    assert contracts.validated(event.data) == event.data
    assert (event.version is not None) == (contract.kind == contracts.Kind.STATE)
    assert msgspec.json.decode(envelope.data).keys() <= {field.name for field in msgspec.structs.fields(contract)}
