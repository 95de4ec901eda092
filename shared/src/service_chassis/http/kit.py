"""What one web application works with, kept on the application and never in a module."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from flask import current_app

from service_chassis.http.answer_store import AnswerStore
from service_chassis.http.health import Check
from service_chassis.logs import Log
from service_chassis.metrics import Metrics
from service_chassis.revocation import Revocations
from service_chassis.tokens import TokenVerifier
from service_chassis.unit_of_work import Units

EXTENSION = "service_chassis"


@dataclass(frozen=True, slots=True)
class Kit:
    name: str
    units: Units[Any]
    verifier: TokenVerifier
    revocations: Revocations
    metrics: Metrics
    log: Log
    answers: AnswerStore
    body_limit: int
    checks: Sequence[Check]
    parts: Any


def kit() -> Kit:
    """Return what the application of the present request works with."""
    return cast("Kit", current_app.extensions[EXTENSION])


def parts() -> Any:
    """Return what the service's bootstrap gave its views: settings and whatever else they call."""
    return kit().parts
