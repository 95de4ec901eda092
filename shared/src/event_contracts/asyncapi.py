"""The AsyncAPI 3 document of everything in the catalogue."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import msgspec

from event_contracts.catalogue import CATALOGUE, dataschema, exchanges, meaning, paragraphs, summary
from event_contracts.contract import Contract, Kind
from event_contracts.published import samples

CONTENT_TYPE = "application/cloudevents+json"

_INFO = {
    "title": "Steward events",
    "version": "1",
    "description": paragraphs("""
    The domain events the services of Steward exchange over RabbitMQ. The version of a contract is part of its event
    type, so this document has none of its own.

    A change of many aggregates in one transaction goes out as one message in the CloudEvents batch format, content
    type `application/cloudevents-batch+json`: an array of at most 500 of the payloads described here, all of one type.
    """).strip(),
}

_TEXT = {"type": "string", "minLength": 1}

_CLOUD_EVENT = {
    "title": "CloudEvent",
    "description": "A CloudEvents 1.0 event in structured JSON, with the extensions Steward uses.",
    "type": "object",
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid", "description": "A UUIDv7, by which consumers recognise repeats."},
        "source": {**_TEXT, "format": "uri-reference", "description": "The service that says so."},
        "type": {**_TEXT, "description": "The contract of the data; also the routing key."},
        "subject": {**_TEXT, "description": "The id of the aggregate the event is about."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {**_TEXT, "format": "uri-reference"},
        "data": {"type": "object"},
        "correlationid": {**_TEXT, "description": "Shared by everything that one request or job led to."},
        "causationid": {**_TEXT, "description": "The id of the event or request that led to this one."},
        "traceparent": {**_TEXT, "description": "W3C trace context."},
        "aggregateversion": {
            "type": "integer",
            "description": "The version of the state in the data: apply it if it is newer than what is known.",
        },
        "aggregateepoch": {
            "type": "integer",
            "description": (
                "Left out while it is 0. It rises when the owner was restored to an earlier instant, and any version of"
                " a later epoch is newer than all of an earlier one."
            ),
        },
    },
    "required": [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "data",
        "correlationid",
    ],
}


def document() -> dict[str, Any]:
    """Return the document as plain values, one channel for each exchange and one operation for each owner."""
    by_exchange = exchanges()
    return {
        "asyncapi": "3.0.0",
        "info": _INFO,
        "defaultContentType": CONTENT_TYPE,
        "channels": {exchange: _channel(exchange, contracts) for exchange, contracts in by_exchange.items()},
        "operations": {
            f"{_owner(contracts[0])}.send": _operation(exchange, contracts)
            for exchange, contracts in by_exchange.items()
        },
        "components": {
            "messages": {contract.type: _message(contract) for contract in CATALOGUE},
            "schemas": {"CloudEvent": _CLOUD_EVENT} | _data_schemas(),
        },
    }


def _channel(exchange: str, contracts: Iterable[type[Contract]]) -> dict[str, Any]:
    return {
        "address": exchange,
        "description": "A durable topic exchange; the routing key is the event type.",
        "messages": {contract.type: _reference("components", "messages", contract.type) for contract in contracts},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": exchange, "type": "topic", "durable": True, "autoDelete": False},
                "bindingVersion": "0.3.0",
            }
        },
    }


def _operation(exchange: str, contracts: list[type[Contract]]) -> dict[str, Any]:
    owner = _owner(contracts[0])
    return {
        "action": "send",
        "summary": f"Only {owner} publishes to {exchange}.",
        "channel": _reference("channels", exchange),
        "messages": [_reference("channels", exchange, "messages", contract.type) for contract in contracts],
        "bindings": {
            "amqp": {"deliveryMode": 2, "mandatory": True, "timestamp": True, "bindingVersion": "0.3.0"},
        },
    }


def _message(contract: type[Contract]) -> dict[str, Any]:
    return {
        "name": contract.type,
        "title": contract.__name__,
        "summary": summary(contract),
        "description": meaning(contract),
        "contentType": CONTENT_TYPE,
        "correlationId": {"location": "$message.payload#/correlationid"},
        "tags": [{"name": contract.kind}, {"name": contract.audience}],
        "payload": {"allOf": [_reference("components", "schemas", "CloudEvent"), _particulars(contract)]},
        "examples": [{"payload": msgspec.json.decode(path.read_bytes())} for path in samples(contract)],
    }


def _particulars(contract: type[Contract]) -> dict[str, Any]:
    particulars: dict[str, Any] = {
        "type": "object",
        "properties": {
            "source": {"const": contract.source},
            "type": {"const": contract.type},
            "dataschema": {"const": dataschema(contract)},
            "data": _reference("components", "schemas", contract.__name__),
        },
    }
    return particulars | ({"required": ["aggregateversion"]} if contract.kind is Kind.STATE else {})


def _data_schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(CATALOGUE, ref_template="#/components/schemas/{name}")
    for schema in schemas.values():
        schema["description"] = paragraphs(schema["description"])
    return schemas


def _owner(contract: type[Contract]) -> str:
    return contract.source.removeprefix("/")


def _reference(*path: str) -> dict[str, str]:
    return {"$ref": "/".join(chain("#", path))}
