"""The routes every service has for those who run it."""

from typing import Any

import flask
from flask import Response
from marshmallow import Schema, fields
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service_chassis import answers
from service_chassis.http import health
from service_chassis.http.encoding import json_response
from service_chassis.http.envelope import Blueprint
from service_chassis.http.guard import public
from service_chassis.http.kit import kit

probes = Blueprint("operations", __name__, description="For those who run the service.")
plain = flask.Blueprint("metrics", __name__)


class State(Schema):
    service = fields.String(required=True)
    status = fields.String(required=True)
    detail = fields.Dict(metadata={"description": "What is not as it should be and keeps nobody out."})


class Health(State):
    timestamp = fields.DateTime(required=True)
    checks = fields.Dict(required=True)


@probes.route("/livez")
@probes.response(200, State)
@public
def livez() -> dict[str, str]:
    """Whether the process answers at all.

    It depends on nothing else.
    """
    return {"service": kit().name, "status": "alive"}


@probes.route("/readyz")
@probes.response(200, State)
@public
def readyz() -> dict[str, Any]:
    """Whether requests can be answered; if not, why."""
    wrong = health.problems([health.database_check(kit().units), *kit().checks])
    if wrong:
        raise health.NotReady(fields=wrong, retry_after=2)
    remarks = health.remarks(kit().checks)
    return {"service": kit().name, "status": "ready", **({"detail": remarks} if remarks else {})}


@probes.route("/api/v1/health")
@probes.response(200, Health)
@public
def report() -> Any:
    """What works and what does not."""
    results = health.examine(kit().units, kit().checks)
    status = health.overall(results)
    checks = {name: result.shown() for name, result in results.items()}
    data = {"service": kit().name, "status": status, "timestamp": kit().units.clock.now(), "checks": checks}
    return _cannot_serve(data) if status == health.UNHEALTHY else data


@plain.get("/metrics")
@public
def metrics() -> Response:
    return Response(generate_latest(kit().metrics.registry), content_type=CONTENT_TYPE_LATEST)


def _cannot_serve(data: dict[str, Any]) -> Response:
    return json_response(answers.failure(health.UNHEALTHY, "The service cannot answer requests.") | {"data": data}, 503)
