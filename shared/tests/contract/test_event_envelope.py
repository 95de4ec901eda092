"""The golden samples as the chassis reads them: both sides of the wire know the same envelope."""

from pathlib import Path

import msgspec
import pytest

from event_contracts import CATALOGUE, Contract, dataschema, published
from service_chassis.messaging.envelope import SINGLE, Event, Outgoing, decoded, encoded, received

every_sample = pytest.mark.parametrize(
    ("contract", "path"),
    [pytest.param(contract, path, id=path.name) for contract in CATALOGUE for path in published.samples(contract)],
)


@every_sample
def test_the_chassis_reads_everything_a_sample_says(contract: type[Contract], path: Path) -> None:
    event = _read(contract, path)
    sample = msgspec.json.decode(path.read_bytes())
    assert isinstance(event.data, contract)
    assert str(event.id) == sample["id"]
    assert event.correlation_id == sample["correlationid"]
    assert event.causation_id == sample.get("causationid")
    assert event.version == sample.get("aggregateversion")


@every_sample
def test_the_chassis_publishes_a_contract_as_its_sample_shows(contract: type[Contract], path: Path) -> None:
    event = _read(contract, path)
    message = encoded(Outgoing(event.data, version=event.version), now=event.time)
    written = msgspec.json.decode(message.body)
    sample = msgspec.json.decode(path.read_bytes())
    assert (message.exchange, message.routing_key) == (contract.exchange, contract.type)
    assert written["dataschema"] == dataschema(contract)
    assert written.keys() | {"causationid"} == sample.keys() | {"causationid"}
    assert {name: written[name] for name in _UNCHANGED & sample.keys()} == {
        name: sample[name] for name in _UNCHANGED & sample.keys()
    }


_UNCHANGED = {"specversion", "source", "type", "subject", "time", "datacontenttype", "dataschema", "aggregateversion"}


def _read(contract: type[Contract], path: Path) -> Event:
    (envelope,) = decoded(SINGLE, path.read_bytes())
    return received(envelope, contract)
