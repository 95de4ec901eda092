"""Blueprints whose views answer in the envelope, and whose documentation says so."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import flask_smorest  # type: ignore[import-untyped]  # has no types
from flask_smorest.utils import unpack_tuple_response  # type: ignore[import-untyped]  # has no types
from marshmallow import Schema, fields
from werkzeug import Response
from werkzeug.datastructures import Headers

from service_chassis import answers
from service_chassis.database.paging import Page
from service_chassis.http.arguments import Parser, query_names
from service_chassis.http.idempotency import KEY_PARAMETER
from service_chassis.http.marks import SAFE, Marks, View, marked, marks_of
from service_chassis.http.paging import PageMeta, link_to_next

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Answer(Schema):
    """The form of every answer; the schemas of single operations derive from it."""


def null() -> fields.Raw:
    return fields.Raw(required=True, metadata={"type": "null"})


class ErrorAnswer(Answer):
    success = fields.Boolean(required=True, metadata={"enum": [False]})
    data = fields.Dict(required=True, allow_none=True, metadata={"description": "`errors` holds errors by field."})
    error = fields.String(required=True, metadata={"description": "A stable code."})
    message = fields.String(required=True)
    meta = null()


def answer_schema(schema: Schema | None) -> Schema:
    """Return the schema of an answer whose data has the given one."""
    many = schema is not None and schema.many
    keys: dict[str, fields.Field[Any]] = {
        "success": fields.Boolean(required=True, metadata={"enum": [True]}),
        "data": null() if schema is None else fields.Nested(schema, required=True),
        "error": null(),
        "message": fields.String(required=True),
        "meta": fields.Nested(PageMeta, required=True) if many else null(),
    }
    return Answer.from_dict(keys, name="Answer")()


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # smorest has no types
    """A blueprint as services use it: a view is a function that returns what its schema describes.

    A list is returned as a `Page`. The description of a response is also the message of the answer.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(_document_marks)

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Call the view for requests of this path, which holds with and without a slash at its end."""
        register: Callable[[View], View] = super().route(rule, **options)
        return register

    def response(self, status_code: int, schema: Any = None, **documentation: Any) -> Decorator:
        """Answer with this status and the view's result in the envelope."""
        instance = schema() if isinstance(schema, type) else schema
        message = documentation.setdefault("description", HTTPStatus(status_code).phrase)
        as_json: Decorator = super().response(status_code, answer_schema(instance), **documentation)

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            return as_json(_enveloping(view, message))

        return decorate

    def arguments(self, schema: Any, *, location: str = "json", **options: Any) -> Decorator:
        """Give the view what a schema reads from the body or the query."""
        parse: Decorator = super().arguments(schema, location=location, **options)

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            names = query_names(schema) if location == "query" else frozenset()
            return marked(parse(view), query=marks_of(view).query | names)

        return decorate

    def _store_endpoint_docs(
        self, endpoint: str, obj: Callable[..., Any], parameters: Any, tags: Any, **options: Any
    ) -> None:
        if isinstance(obj, type):
            raise TypeError("A view is a function: what its decorators say could not be read from a class.")
        super()._store_endpoint_docs(endpoint, obj, parameters, tags, **options)
        for method in self._docs[endpoint].keys() - {"parameters"}:
            self._docs[endpoint][method]["marks"] = marks_of(obj)


def _enveloping(view: Callable[..., Any], message: str) -> Callable[..., Any]:
    @wraps(view)
    def enveloped(*args: Any, **kwargs: Any) -> Any:
        body, status, headers = unpack_tuple_response(view(*args, **kwargs))
        if isinstance(body, Response):
            return body, status, headers
        if isinstance(body, Page):
            return answers.success(body.items, message, body.meta()), status, Headers(headers) | link_to_next(body)
        return answers.success(body, message), status, headers

    return enveloped


def _document_marks(doc: dict[str, Any], info: dict[str, Any], *, method: str, **_: Any) -> dict[str, Any]:
    marks: Marks = info["marks"]
    if marks.public:
        doc["security"] = []
    if marks.takes_key and method.upper() not in SAFE:
        doc.setdefault("parameters", []).append(KEY_PARAMETER)
    return doc
