from typing import Any

import pytest
from marshmallow import Schema, fields

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.http import Blueprint, Page, PageQuery, Paging, public, takes_no_key
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial

pytestmark = only_sqlite

things = Blueprint("things", __name__, url_prefix="/api/v1/things", description="Things of all sorts.")


class Thing(Schema):
    name = fields.String(required=True)


@things.route("")
@things.arguments(PageQuery, location="query")
@things.response(200, Thing(many=True))
@public
def listed(paging: Paging) -> Page[Any]:
    return Page.whole([])


@things.route("", methods=["POST"])
@things.arguments(Thing)
@things.response(201, Thing)
def make(body: dict[str, str]) -> dict[str, str]:
    """Make a thing."""
    return body


@things.route("/<uuid:thing_id>", methods=["DELETE"])
@things.response(200)
@takes_no_key
def drop(thing_id: object) -> None: ...


@pytest.fixture
def spec(database: Database, clock: ManualClock) -> Any:
    return Trial(database, clock, things).client(role=None).get("/openapi.json").json


def body_of(spec: Any, path: str, method: str, status: str) -> Any:
    return spec["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]


def operations(spec: Any) -> list[Any]:
    methods = ("get", "post", "put", "patch", "delete")
    return [operation for path in spec["paths"].values() for method, operation in path.items() if method in methods]


def test_the_description_names_service_and_version(spec: Any) -> None:
    assert spec["openapi"].startswith("3.1")
    assert spec["info"] == {"title": "trial API", "version": "v1"}


def test_every_service_describes_its_probes_and_its_own_paths(spec: Any) -> None:
    assert set(spec["paths"]) == {
        "/livez",
        "/readyz",
        "/api/v1/health",
        "/api/v1/dead-letters",
        "/api/v1/dead-letters/{letter_id}",
        "/api/v1/dead-letters/redrive",
        "/api/v1/dead-letters/drop",
        "/api/v1/things",
        "/api/v1/things/{thing_id}",
    }


def test_answers_are_described_in_their_envelope(spec: Any) -> None:
    made = body_of(spec, "/api/v1/things", "post", "201")
    listed = body_of(spec, "/api/v1/things", "get", "200")
    dropped = body_of(spec, "/api/v1/things/{thing_id}", "delete", "200")

    assert list(made["properties"]) == ["success", "data", "error", "message", "meta"]
    assert sorted(made["properties"]) == made["required"]
    assert made["properties"]["data"] == {"$ref": "#/components/schemas/Thing"}
    assert made["properties"]["meta"] == {"type": "null"}
    assert listed["properties"]["data"] == {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}
    assert listed["properties"]["meta"] == {"$ref": "#/components/schemas/PageMeta"}
    assert dropped["properties"]["data"] == {"type": "null"}


def test_every_operation_describes_its_errors(spec: Any) -> None:
    error = spec["components"]["responses"]["DEFAULT_ERROR"]["content"]["application/json"]["schema"]

    assert all("default" in operation["responses"] for operation in operations(spec))
    assert error == {"$ref": "#/components/schemas/ErrorAnswer"}
    assert list(spec["components"]["schemas"]["ErrorAnswer"]["properties"]) == [
        "success",
        "data",
        "error",
        "message",
        "meta",
    ]


def test_only_schemas_that_are_used_are_described(spec: Any) -> None:
    assert set(spec["components"]["schemas"]) == {
        *("Action", "Affected", "LetterView", "LetterWithBody"),
        *("ErrorAnswer", "Health", "PageMeta", "State", "Thing"),
    }


def test_a_token_is_needed_except_for_public_views(spec: Any) -> None:
    assert spec["security"] == [{"bearer": []}]
    assert spec["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert spec["paths"]["/api/v1/things"]["get"]["security"] == []
    assert "security" not in spec["paths"]["/api/v1/things"]["post"]


def test_the_idempotency_key_is_described_where_it_is_taken(spec: Any) -> None:
    def headers(path: str, method: str) -> list[str]:
        parameters = spec["paths"][path][method].get("parameters", [])
        return [parameter["name"] for parameter in parameters if parameter["in"] == "header"]

    assert headers("/api/v1/things", "post") == ["Idempotency-Key"]
    assert headers("/api/v1/things", "get") == []
    assert headers("/api/v1/things/{thing_id}", "delete") == []


def test_there_is_no_page_of_documentation(database: Database, clock: ManualClock) -> None:
    routes = {rule.rule for rule in Trial(database, clock, things).app.url_map.iter_rules()}

    assert routes == {
        "/livez",
        "/readyz",
        "/api/v1/health",
        "/metrics",
        "/openapi.json",
        "/api/v1/dead-letters",
        "/api/v1/dead-letters/<uuid:letter_id>",
        "/api/v1/dead-letters/redrive",
        "/api/v1/dead-letters/drop",
        "/api/v1/things",
        "/api/v1/things/<uuid:thing_id>",
    }
