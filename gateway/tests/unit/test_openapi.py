from typing import Any

import pytest

from gateway.openapi import merged
from gateway.routes import CLEANUP, ROUTES, USER
from gateway.routing import RouteTable


def spec(*paths: str, **more: Any) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Error"}
    operation = {"operationId": "show", "responses": {"200": {"content": {"application/json": {"schema": reference}}}}}
    return {
        "openapi": "3.1.0",
        "paths": {path: {"get": dict(operation), "parameters": []} for path in paths},
        "components": {
            "schemas": {
                "Error": {"type": "object", "properties": {"cause": reference, "security": {"type": "string"}}}
            },
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
        **more,
    }


@pytest.fixture
def table() -> RouteTable:
    return RouteTable(ROUTES)


def test_only_paths_the_gateway_sends_to_that_very_service_are_described(table: RouteTable) -> None:
    users = spec("/api/v1/users", "/api/v1/users/{user_id}", "/internal/revocations", "/livez", "/api/v1/reports")
    cleanups = spec("/api/v1/reports", "/api/v1/dead-letters", "/api/v1/health")

    paths = merged({USER: users, CLEANUP: cleanups}, table)["paths"]

    assert set(paths) == {"/api/v1/users", "/api/v1/users/{user_id}", "/api/v1/reports"}


def test_components_of_the_same_name_stay_apart(table: RouteTable) -> None:
    document = merged({USER: spec("/api/v1/users"), CLEANUP: spec("/api/v1/reports")}, table)

    schemas = document["components"]["schemas"]
    assert set(schemas) == {"UserError", "CleanupError"}
    assert schemas["UserError"]["properties"]["cause"] == {"$ref": "#/components/schemas/UserError"}
    operation = document["paths"]["/api/v1/reports"]["get"]
    assert operation["operationId"] == "Cleanupshow"
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/CleanupError"}


def test_what_a_service_says_once_about_security_is_said_in_each_operation(table: RouteTable) -> None:
    users = spec("/api/v1/users", "/api/v1/auth/login")
    users["paths"]["/api/v1/auth/login"]["get"]["security"] = []

    document = merged({USER: users}, table)

    assert document["paths"]["/api/v1/users"]["get"]["security"] == [{"Userbearer": []}]
    assert document["paths"]["/api/v1/auth/login"]["get"]["security"] == []
    assert "Userbearer" in document["components"]["securitySchemes"]


def test_the_servers_of_the_document_are_the_gateway(table: RouteTable) -> None:
    users = spec("/api/v1/users", servers=[{"url": "http://user-service:8001"}])

    assert merged({USER: users}, table)["servers"] == [{"url": "/"}]
