"""Every failure as the one form of answer; what was not foreseen goes to the log and not to the caller."""

import math
from collections.abc import Mapping
from http import HTTPStatus

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from service_chassis import answers
from service_chassis.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ServiceError,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)
from service_chassis.http.encoding import json_response
from service_chassis.http.kit import kit

OURS: Mapping[int, type[ServiceError]] = {
    error.status: error
    for error in (
        Invalid,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        TooLarge,
        Unprocessable,
        TooManyRequests,
        ServiceError,
        Unavailable,
    )
}
"""Statuses the framework raises by itself and we have a word for."""


class ValidationFailed(Invalid):
    """Some values are not valid."""

    code = "validation_failed"


class MalformedJson(Invalid):
    """The body is not valid JSON."""

    code = "malformed_json"


def register(app: Flask) -> None:
    """Let the application answer every exception in the envelope."""
    app.register_error_handler(Exception, render)


def render(error: Exception) -> Response:
    """Return the answer that tells of an error, and log what nobody foresaw."""
    if isinstance(error, ServiceError):
        _log_trouble(error)
        return _told(error)
    if isinstance(error, HTTPException) and error.code != 500:
        return _of_framework(error)
    kit().log.error("request_failed", exc_info=getattr(error, "original_exception", None) or error)
    return _told(ServiceError())


def _told(error: ServiceError) -> Response:
    response = _answer(error.status, error.code, error.message, error.fields)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _of_framework(error: HTTPException) -> Response:
    status = error.code or 500
    ours = OURS.get(status)
    if ours is not None:
        return _told(ours())
    code = error.name.lower().replace(" ", "_")
    response = _answer(status, code, error.description or error.name)
    response.headers.extend([(name, value) for name, value in error.get_headers() if name != "Content-Type"])
    return response


def _answer(status: int, code: str, message: str, fields: Mapping[str, object] | None = None) -> Response:
    return json_response(answers.failure(code, message, fields), status)


def _log_trouble(error: ServiceError) -> None:
    if isinstance(error, Unavailable):
        kit().log.warning("request_unavailable", error=error.code, cause=str(error.__cause__ or error))
    elif error.status >= 500:
        kit().log.error("request_failed", exc_info=error)
