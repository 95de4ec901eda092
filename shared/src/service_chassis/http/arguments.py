"""What comes in: strict JSON and known query parameters, else an answer that names what is wrong."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import flask
import marshmallow
import msgspec
from flask import request
from webargs import missing
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.exceptions import UnsupportedMediaType

from service_chassis.database.paging import LARGEST_NUMBER
from service_chassis.errors import NotFound, TooLarge
from service_chassis.http.errors import MalformedJson, ValidationFailed
from service_chassis.http.kit import kit
from service_chassis.http.marks import marks_of_request

NO_NUL = "A text must not contain the character NUL."
DEEPEST = 32
"""Levels of nesting in a body; PostgreSQL and recursive code have limits of their own further down."""
TWICE = "This parameter can be given once."
TOO_DEEP = f"The body is nested more than {DEEPEST} levels deep."
TOO_LARGE = "A number must fit into 64 bits."
SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{19}")
"""Where a body does not match this, no value in it can be one that the databases cannot hold."""


class Parser(FlaskParser):
    DEFAULT_VALIDATION_STATUS = 400

    def _raw_load_json(self, req: flask.Request) -> Any:
        body = req.get_data(cache=True)
        if not body:
            return missing
        if not is_json_request(req):
            raise UnsupportedMediaType("The body must be application/json.")
        return _decoded(body)

    def handle_error(self, error: marshmallow.ValidationError, *_: Any, **__: Any) -> NoReturn:
        by_location = error.messages_dict.values()
        raise ValidationFailed(fields={name: texts for part in by_location for name, texts in _flat(part)})


def check_encoding() -> None:
    """Refuse a body that is compressed, which would be read as if it were not."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("The body must not be encoded; leave Content-Encoding out.")


def check_size() -> None:
    """Refuse a body that says it is too large without reading it, and one that does not say as soon as it is."""
    size = request.content_length
    if size is None and "Transfer-Encoding" in request.headers:
        # The framework cuts a chunked body off at its limit, which is one byte further than ours, and says nothing.
        size = len(request.get_data(cache=True))
    if size is not None and size > kit().body_limit:
        raise TooLarge


def check_address() -> None:
    """Refuse query parameters the view does not know, and what no address should contain."""
    if request.url_rule is None:
        return
    if "\0" in request.path:
        raise NotFound
    if not request.args:
        return
    known = marks_of_request().query
    wrong = {name: ["Unknown parameter."] for name in request.args if name not in known}
    wrong |= {name: [TWICE] for name, values in request.args.lists() if len(values) > 1}
    wrong |= {name: [NO_NUL] for name, value in request.args.items(multi=True) if "\0" in value}
    if wrong:
        raise ValidationFailed(fields=wrong)


def query_names(schema: Any) -> frozenset[str]:
    """Return the names of the parameters a query schema reads."""
    fields = (schema() if isinstance(schema, type) else schema).fields
    return frozenset(field.data_key or name for name, field in fields.items())


def _decoded(body: bytes) -> Any:
    try:
        data = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedJson from error
    if body.count(b"{") + body.count(b"[") > DEEPEST and _is_deeper(data, DEEPEST):
        raise MalformedJson(TOO_DEEP)
    if SUSPICIOUS.search(body) and (wrong := dict(_not_storable(data, ""))):
        raise ValidationFailed(fields=wrong)
    return data


def _is_deeper(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and (levels == 0 or any(_is_deeper(each, levels - 1) for each in inner))


def _not_storable(value: Any, place: str) -> Iterator[tuple[str, list[str]]]:
    if isinstance(value, str) and "\0" in value:
        yield place, [NO_NUL]
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        yield place, [TOO_LARGE]
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _not_storable(name, place)
            yield from _not_storable(inner, _inside(place, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _not_storable(inner, _inside(place, number))


def _flat(messages: Any, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the errors of nested fields under dotted names."""
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _flat(inner, _inside(place, name))
    else:
        yield place, [str(text) for text in messages]


def _inside(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)
