"""The generated pages say what the contracts say, and the AsyncAPI document is one."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from event_contracts import CATALOGUE, Contract, Kind, docs, published

PAGES = Path(__file__).parents[3] / "docs" / "events"

every_contract = pytest.mark.parametrize("contract", CATALOGUE, ids=lambda contract: contract.type)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return msgspec.json.decode(docs.pages()["asyncapi.json"], type=dict[str, Any])


def test_the_pages_are_those_of_the_present_contracts() -> None:
    assert docs.stale(PAGES) == [], f"Run: {docs.COMMAND}"


@every_contract
def test_the_catalogue_links_every_event_to_its_section(contract: type[Contract]) -> None:
    catalogue = docs.pages()["catalogue.md"]
    anchor = contract.type.replace(".", "")
    assert f"[`{contract.type}`](#{anchor})" in catalogue
    assert f"\n## {contract.type}\n" in catalogue


def test_the_document_has_what_asyncapi_requires(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert document["info"].keys() >= {"title", "version"}
    assert document.keys() == {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
    assert document["components"].keys() == {"messages", "schemas"}


def test_every_channel_is_an_exchange_with_its_messages(document: dict[str, Any]) -> None:
    for exchange, channel in document["channels"].items():
        assert channel["address"] == exchange
        assert channel["bindings"]["amqp"]["exchange"]["name"] == exchange
        assert channel["messages"].keys() == {c.type for c in CATALOGUE if c.exchange == exchange}


def test_every_operation_sends_messages_of_its_own_channel(document: dict[str, Any]) -> None:
    assert document["operations"].keys() == {f"{c.source.removeprefix('/')}.send" for c in CATALOGUE}
    for operation in document["operations"].values():
        assert operation["action"] == "send"
        channel = operation["channel"]["$ref"]
        assert {reference["$ref"] for reference in operation["messages"]} == {
            f"{channel}/messages/{name}" for name in _resolved(document, channel)["messages"]
        }


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = list(_references(document))
    assert references
    for reference in references:
        assert _resolved(document, reference)


@every_contract
def test_every_sample_is_valid_by_the_published_schema(contract: type[Contract], document: dict[str, Any]) -> None:
    validator = _validator(document, contract)
    for path in published.samples(contract):
        validator.validate(msgspec.json.decode(path.read_bytes()))


@every_contract
def test_the_published_schema_refuses_what_the_contract_refuses(
    contract: type[Contract], document: dict[str, Any]
) -> None:
    validator = _validator(document, contract)
    sample = msgspec.json.decode(published.samples(contract)[-1].read_bytes())
    for name, field in published.fields(contract).items():
        broken = copy.deepcopy(sample)
        broken["data"].pop(name)
        assert validator.is_valid(broken) != field.required


@every_contract
def test_the_published_schema_asks_for_a_version_exactly_if_the_event_is_state(
    contract: type[Contract], document: dict[str, Any]
) -> None:
    sample = msgspec.json.decode(published.samples(contract)[0].read_bytes())
    sample.pop("aggregateversion", None)
    assert _validator(document, contract).is_valid(sample) == (contract.kind is Kind.FACT)


def _validator(document: dict[str, Any], contract: type[Contract]) -> Any:
    payload = document["components"]["messages"][contract.type]["payload"]
    return jsonschema_rs.validator_for(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": document["components"], **payload},
        validate_formats=True,
    )


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for member in value.values():
            yield from _references(member)
    elif isinstance(value, list):
        for member in value:
            yield from _references(member)


def _resolved(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found
