"""What holds for every published contract: its declarations, its golden samples and its fields."""

import re
from typing import Any

import msgspec
import pytest

import event_contracts
from event_contracts import CATALOGUE, Audience, Contract, Kind, by_type, dataschema, published, validated

SAMPLES = [(contract, path) for contract in CATALOGUE for path in published.samples(contract)]
UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
TYPE = re.compile(r"^[a-z]+\.[a-z]+(_[a-z]+)*\.v[1-9]\d*$")

REQUIRED_ATTRIBUTES = {
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
}
EXTENSIONS = {"correlationid", "causationid", "traceparent", "aggregateversion"}

MAY_NAME_PEOPLE = {"user.registered", "user.updated", "notification.ready"}
NAME_THINGS = {"account.created", "account.updated"}

every_contract = pytest.mark.parametrize("contract", CATALOGUE, ids=lambda contract: contract.type)
every_sample = pytest.mark.parametrize(
    ("contract", "envelope"),
    [pytest.param(contract, msgspec.json.decode(path.read_bytes()), id=path.name) for contract, path in SAMPLES],
)
every_required_field = pytest.mark.parametrize(
    ("contract", "name"),
    [
        pytest.param(contract, name, id=f"{contract.type}-{name}")
        for contract in CATALOGUE
        for name, field in published.fields(contract).items()
        if field.required
    ],
)


@every_contract
def test_a_contract_states_what_it_is(contract: type[Contract]) -> None:
    assert TYPE.match(contract.type)
    assert contract.kind in Kind
    assert contract.audience in Audience
    assert contract.exchange == f"{contract.source.removeprefix('/').removesuffix('-service')}.events"


@every_contract
def test_a_contract_says_itself_when_it_happens(contract: type[Contract]) -> None:
    assert (vars(contract)["__doc__"] or "").partition("\n")[0].endswith(".")


@every_contract
def test_a_contract_cannot_be_changed_once_made_and_lets_unknown_fields_pass(contract: type[Contract]) -> None:
    assert contract.__struct_config__.frozen
    assert not contract.__struct_config__.forbid_unknown_fields


@every_contract
def test_a_contract_names_people_only_where_that_is_agreed(contract: type[Contract]) -> None:
    naming = [name for name in contract.__struct_fields__ if re.search(r"(^|_)(e?mail|name)(_|$)", name)]
    assert not naming or contract.type.rpartition(".")[0] in MAY_NAME_PEOPLE | NAME_THINGS


@every_contract
def test_a_contract_for_accounts_names_its_account(contract: type[Contract]) -> None:
    assert contract.audience is not Audience.ACCOUNT or "account_id" in contract.__struct_fields__


def test_every_type_is_in_the_catalogue_once() -> None:
    assert len(by_type) == len(CATALOGUE)


def test_every_contract_the_package_exports_is_in_the_catalogue() -> None:
    exported = [getattr(event_contracts, name) for name in event_contracts.__all__]
    contracts = {item for item in exported if isinstance(item, type) and issubclass(item, Contract)}
    assert {contract for contract in contracts if hasattr(contract, "type")} == set(CATALOGUE)


@every_contract
def test_a_contract_has_a_golden_sample(contract: type[Contract]) -> None:
    missing = [path.name for path in published.samples(contract) if not path.exists()]
    assert missing == []


def test_every_golden_sample_belongs_to_a_contract() -> None:
    files = {path for path in published.GOLDEN.glob("*.json") if path != published.FIELDS}
    assert files == {path for _, path in SAMPLES}


@every_sample
def test_a_sample_is_a_complete_cloud_event(contract: type[Contract], envelope: dict[str, Any]) -> None:
    assert REQUIRED_ATTRIBUTES <= envelope.keys() <= REQUIRED_ATTRIBUTES | EXTENSIONS
    assert envelope["specversion"] == "1.0"
    assert envelope["datacontenttype"] == "application/json"
    assert (envelope["type"], envelope["source"]) == (contract.type, contract.source)
    assert envelope["dataschema"] == dataschema(contract)
    assert UUID7.match(envelope["id"])
    assert UUID7.match(envelope.get("causationid", envelope["id"]))
    assert TRACEPARENT.match(envelope["traceparent"])
    assert envelope["time"].endswith("Z")
    assert envelope["correlationid"]


@every_sample
def test_a_sample_has_an_aggregate_version_exactly_if_it_is_state(
    contract: type[Contract], envelope: dict[str, Any]
) -> None:
    assert isinstance(envelope.get("aggregateversion"), int) == (contract.kind is Kind.STATE)


@every_sample
def test_a_sample_is_about_the_aggregate_its_data_name(contract: type[Contract], envelope: dict[str, Any]) -> None:
    assert msgspec.convert(envelope["data"], contract).subject == envelope["subject"]


@every_sample
def test_a_sample_survives_reading_and_writing(contract: type[Contract], envelope: dict[str, Any]) -> None:
    added_since = {name for name, field in published.fields(contract).items() if not field.required}
    written = msgspec.json.decode(msgspec.json.encode(msgspec.convert(envelope["data"], contract)))
    assert {name: value for name, value in written.items() if name in envelope["data"]} == envelope["data"]
    assert written.keys() - envelope["data"].keys() <= added_since


@every_contract
def test_the_newest_sample_shows_every_field(contract: type[Contract]) -> None:
    newest = msgspec.json.decode(published.samples(contract)[-1].read_bytes())
    assert newest["data"].keys() == set(contract.__struct_fields__)


@every_sample
def test_a_sample_with_fields_from_the_future_is_still_read(contract: type[Contract], envelope: dict[str, Any]) -> None:
    future = envelope["data"] | {"from_the_future": {"deeply": ["nested", 1]}}
    assert msgspec.convert(future, contract) == msgspec.convert(envelope["data"], contract)


@every_required_field
def test_a_sample_without_a_required_field_is_refused(contract: type[Contract], name: str) -> None:
    data = msgspec.json.decode(published.samples(contract)[0].read_bytes())["data"]
    del data[name]
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert(data, contract)


@every_required_field
def test_a_sample_with_a_value_of_a_wrong_type_is_refused(contract: type[Contract], name: str) -> None:
    data = msgspec.json.decode(published.samples(contract)[0].read_bytes())["data"]
    wrong = "not this" if published.fields(contract)[name].type == "object" else {"not": "this"}
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert(data | {name: wrong}, contract)


@every_sample
def test_a_valid_event_is_returned_as_it_is(contract: type[Contract], envelope: dict[str, Any]) -> None:
    event = msgspec.convert(envelope["data"], contract)
    assert validated(event) == event


def test_published_fields_only_grow() -> None:
    breaches = published.field_breaches(published.recorded_fields(), published.current_fields())
    assert breaches == [], (
        "A published contract gains optional fields and nothing else; make a new version of the type."
    )


def test_published_samples_stay_as_they_are() -> None:
    assert published.sample_breaches(published.recorded_checksums(), published.current_checksums()) == []


def test_everything_published_is_on_record() -> None:
    hint = f"Run: {published.COMMAND}"
    assert published.recorded_fields() == published.current_fields(), hint
    assert published.recorded_checksums() == published.current_checksums(), hint
