"""Requests with values at the ends of what their types hold, for every parameter, header and body of a service."""

import base64
import itertools
import json
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import quote

from flask import Flask

NIL = "00000000-0000-0000-0000-000000000000"
INSTANTS = (
    "0001-01-01T00:00:00+23:59",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59-23:59",
)
NUMBERS = (-(2**63) - 1, -(2**63), -1, 0, 2**31, 2**63 - 1, 2**63, 10**400, 1e308, -0.0)
TEXTS = ("", "\0", "x" * 5_000, "\x7f\u202e\u200b\ufeff", "%00", "' OR 1=1 --", "{{7*7}}", "../../etc/passwd")
LONE = ("\ud800", "\udfff", "a\ud83d")
"""Halves of characters, which JSON can write and no UTF-8 holds."""
HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Content-Encoding",
    "Content-Type",
    "Cookie",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Origin",
    "Range",
    "traceparent",
    "User-Agent",
    "X-Correlation-ID",
    "X-Forwarded-For",
    "X-Request-Deadline-Ms",
    "X-Request-ID",
)
HEADER_VALUES = ("", "\0", "\x7f", "\xff\xfe", "x" * 5_000, ',;=:"', "-1", "9" * 400, "00-0-0-00", "*/*;q=nan", "[")
DEEP = 33
"""Levels of nesting, one more than is taken."""

Request = tuple[str, str, Any, dict[str, str]]
"""Method, target, body, and headers that are out of the ordinary."""


def failures(app: Flask, headers: dict[str, str]) -> list[tuple[str, int]]:
    """Send all requests; return those that the service failed at, with the status."""
    document = app.test_client().get("/openapi.json").get_json()
    client = app.test_client()
    failed = []
    for method, target, body, odd in _requests(document):
        data = None if body is None else json.dumps(body)
        sent = headers | ({} if body is None else {"Content-Type": "application/json"}) | odd
        status = client.open(target, method=method, headers=sent, data=data).status_code
        if status >= 500:
            failed.append((f"{method} {target[:300]} {str(body)[:300]} {str(odd)[:300]}", status))
    return failed


def _requests(document: dict[str, Any]) -> Iterator[Request]:
    for path, item in document["paths"].items():
        if not path.startswith("/api/v1"):
            continue
        shared = item.get("parameters", [])
        for method in item.keys() & {"get", "post", "put", "patch", "delete"}:
            operation = item[method]
            parameters = [_resolved(document, each) for each in (*shared, *operation.get("parameters", []))]
            query = {each["name"]: each["schema"] for each in parameters if each["in"] == "query"}
            usual = path.format_map({each["name"]: NIL for each in parameters if each["in"] == "path"})
            yield from ((method.upper(), target, None, {}) for target in _paths(path, parameters))
            yield from ((method.upper(), f"{usual}?{each}", None, {}) for each in _queries(query))
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content:
                yield from ((method.upper(), usual, body, {}) for body in _bodies(document, content["schema"]))
            body = _example(document, content["schema"]) if content else None
            yield from ((method.upper(), usual, body, odd) for odd in _headers())


def _paths(path: str, parameters: list[dict[str, Any]]) -> Iterator[str]:
    names = [each["name"] for each in parameters if each["in"] == "path"]
    for value in (*map(str, NUMBERS), *TEXTS, *LONE) if names else ():
        yield path.format_map(dict.fromkeys(names, quote(value, safe="", errors="surrogatepass")))


def _queries(schemas: dict[str, Any]) -> Iterator[str]:
    for name in schemas:
        values = (*INSTANTS, *map(str, NUMBERS), *TEXTS, *LONE, *_categories())
        yield from (f"{name}={quote(value, errors='surrogatepass')}" for value in values)
        yield f"{name}=%ff%fe"
    if "cursor" in schemas:
        sorts = [f"&sort={each}" for each in schemas.get("sort", {}).get("enum", ())]
        for cursor, sort in itertools.product(_cursors(), ["", *sorts]):
            yield f"cursor={cursor}{sort}"


def _cursors() -> Iterator[str]:
    ends: tuple[Any, ...] = (*INSTANTS, *NUMBERS[:-1], "", "\0", None, [], {})
    positions = [*((end,) for end in ends), *itertools.product(ends, (NIL, 0, 2**64))]
    for position in positions:
        yield base64.urlsafe_b64encode(json.dumps(position).encode()).rstrip(b"=").decode()
    yield base64.urlsafe_b64encode(b"[" * 5_000).decode()
    yield from ("====", "a", "%ff", "\u00e4")


def _bodies(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[Any]:
    usual = _example(document, schema)
    yield _nested(DEEP)
    if not isinstance(usual, dict):
        return
    for name in usual:
        for value in (*INSTANTS, *NUMBERS, *TEXTS, *LONE, None, [], {}, True, _nested(DEEP - 2), *_categories()):
            yield usual | {name: value}
    yield usual | {"\0": "\0"}
    yield usual | {"\ud800": "\ud800"}


def _headers() -> Iterator[dict[str, str]]:
    """Yield each value for all headers at once, and for each header alone that answers are chosen or kept by."""
    for value in HEADER_VALUES:
        yield dict.fromkeys(HEADERS, value)
        yield from ({name: value} for name in ("Content-Type", "Idempotency-Key"))


def _example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    schema = _resolved(document, schema)
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        return {name: _example(document, each) for name, each in schema["properties"].items()}
    kinds = schema.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "string":
        return {"email": "anna@example.com", "uuid": NIL, "date-time": INSTANTS[1]}.get(
            schema.get("format", ""), "text"
        )
    return {"integer": schema.get("minimum", 1), "number": 1.5, "boolean": True, "array": [], "object": {}}.get(kind)


def _resolved(document: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        found: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@cache
def _categories() -> list[str]:
    """Return one character of each Unicode category but surrogates, which no UTF-8 holds."""
    first: dict[str, str] = {}
    for code in range(sys.maxunicode + 1):
        first.setdefault(unicodedata.category(chr(code)), chr(code))
    return [character for category, character in sorted(first.items()) if category != "Cs"]
