"""A service's web application: a factory that takes everything and keeps nothing outside what it returns."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_instance
from flask import Flask, Response
from flask_smorest import Api  # type: ignore[import-untyped]  # has no types
from marshmallow import Schema
from werkzeug.routing import IntegerConverter, Map

from service_chassis import correlation
from service_chassis.database.paging import LARGEST_NUMBER
from service_chassis.http import arguments, errors, guard, idempotency, observation, operations
from service_chassis.http.answer_store import AnswerStore
from service_chassis.http.dead_letters import dead_letters
from service_chassis.http.encoding import JsonProvider
from service_chassis.http.envelope import Answer, Blueprint, ErrorAnswer
from service_chassis.http.health import Check
from service_chassis.http.kit import EXTENSION, Kit
from service_chassis.http.unit import Answered, transaction
from service_chassis.ids import uuid7
from service_chassis.logs import Log
from service_chassis.metrics import Metrics
from service_chassis.revocation import Revocations
from service_chassis.tokens import TokenVerifier
from service_chassis.unit_of_work import Units

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

BODY_LIMIT = 1024 * 1024


def web_app(
    name: str,
    title: str,
    *,
    units: Units[Any],
    verifier: TokenVerifier,
    revocations: Revocations,
    metrics: Metrics,
    log: Log,
    secret: str,
    blueprints: Sequence[Blueprint],
    parts: Any = None,
    checks: Sequence[Check] = (),
    body_limit: int = BODY_LIMIT,
) -> Flask:
    """Return the application of one service.

    `secret` seals the answers kept for idempotency keys, `parts` is what views get from `parts()`, and `checks` are
    looked at besides the database.
    """
    metrics.revocations(lambda: revocations.age)
    app = WebApp(name, static_folder=None)
    app.config.update(
        API_TITLE=title,
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        MAX_CONTENT_LENGTH=body_limit + 1,
        PROPAGATE_EXCEPTIONS=False,
        PROVIDE_AUTOMATIC_OPTIONS=False,
    )
    app.extensions[EXTENSION] = Kit(
        name=name,
        units=units,
        verifier=verifier,
        revocations=revocations,
        metrics=metrics,
        log=log,
        answers=AnswerStore(secret),
        body_limit=body_limit,
        checks=checks,
        parts=parts,
    )
    _route_leniently(app)
    _register_steps(app)
    _register_blueprints(app, blueprints)
    return app


class WebApp(Flask):
    json_provider_class = JsonProvider

    def wsgi_app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer under the caller's correlation id; what the request causes names the request itself as its cause."""
        ids = correlation.from_headers(environ.get("HTTP_X_CORRELATION_ID"), environ.get("HTTP_TRACEPARENT"))
        with correlation.correlated(replace(ids, causation_id=str(uuid7()))):
            return super().wsgi_app(environ, start_response)

    def dispatch_request(self) -> Response:
        """Call the view, and commit what it did before anybody hears of it."""
        try:
            with transaction() as unit:
                response = self.make_response(super().dispatch_request())
                unit.settle(response)
                return response
        except Answered as answered:
            return answered.response

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Views are plain functions; finding that out anew takes a tenth of the time of a short request."""
        return func

    def log_exception(self, exc_info: tuple[type, BaseException, TracebackType] | tuple[None, None, None]) -> None:
        """Leave the log to the renderer, which knows the service's own."""


class _Integer(IntegerConverter):
    """Numbers in paths as large as the databases know them; others are not found."""

    def __init__(self, url_map: Map, **options: Any) -> None:
        super().__init__(url_map, **{"max": LARGEST_NUMBER, **options})


class _Api(Api):  # type: ignore[misc]  # smorest has no types
    """smorest's part in it: the documentation. Errors and paging are ours.

    Blueprints are described when the document is first asked for, because that takes longer than the rest of a start.
    """

    ERROR_SCHEMA = ErrorAnswer

    def __init__(self, app: Flask, **options: Any) -> None:
        self._undescribed: list[Blueprint] = []
        self._describing = Lock()
        super().__init__(app, **options)

    def register_blueprint(self, blueprint: Blueprint) -> None:
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blueprint.name] = self
        self._app.register_blueprint(blueprint)
        self._undescribed.append(blueprint)

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        with self._describing:
            while self._undescribed:
                self._describe(self._undescribed.pop(0))
            document: dict[str, Any] = self.spec.to_dict()
            return document

    def _describe(self, blueprint: Blueprint) -> None:
        blueprint.register_views_in_doc(self, self._app, self.spec, name=blueprint.name, parameters=None)
        self.spec.tag({"name": blueprint.name, "description": blueprint.description})

    def _register_error_handlers(self) -> None:
        errors.register(self._app)

    def _register_pagination_header(self) -> None:
        pass


def _route_leniently(app: Flask) -> None:
    """Let a path with and without a slash at its end be the same, and redirect nobody."""
    app.url_map.strict_slashes = False
    app.url_map.redirect_defaults = False
    app.url_map.merge_slashes = False
    app.url_map.converters["int"] = _Integer


def _register_steps(app: Flask) -> None:
    checks = (
        guard.check_caller,
        arguments.check_encoding,
        arguments.check_size,
        arguments.check_address,
        idempotency.check_key,
    )
    for step in (observation.begin, *checks):
        app.before_request(step)
    app.after_request(observation.finish)


def _register_blueprints(app: Flask, blueprints: Sequence[Blueprint]) -> None:
    api = _Api(app, spec_kwargs={"marshmallow_plugin": MarshmallowPlugin(_schema_name)})
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    api.spec.options["security"] = [{"bearer": []}]
    for blueprint in (operations.probes, dead_letters, *blueprints):
        api.register_blueprint(blueprint)
    app.register_blueprint(operations.plain)
    app.add_url_rule("/openapi.json", "openapi", guard.public(lambda: app.json.response(api.document())))


def _schema_name(schema: type[Schema] | Schema | str) -> str:
    """Name schemas by their classes; an envelope has no name, so that it is written out in place."""
    cls = type(resolve_schema_instance(schema))
    return "" if issubclass(cls, Answer) and cls is not ErrorAnswer else cls.__name__
