"""Answers in the one form every service speaks, also for what the framework refuses by itself."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import hdrs, web

from service_chassis import answers
from service_chassis.errors import Invalid, NotFound, ServiceError, TooLarge, Unauthenticated

CHALLENGE = 'Bearer realm="steward"'


class BadRequest(Invalid):
    """The request is not valid HTTP."""

    code = "bad_request"


class HeadersTooLarge(ServiceError):
    """The headers of the request are too large."""

    status = 431
    code = "headers_too_large"


class MethodNotAllowed(ServiceError):
    """This cannot be done here."""

    status = 405
    code = "method_not_allowed"

    def __init__(self, allowed: frozenset[str]) -> None:
        """Keep the methods that would be answered."""
        super().__init__()
        self.allowed = allowed


OURS: Mapping[int, type[ServiceError]] = {error.status: error for error in (Invalid, NotFound, TooLarge, ServiceError)}
"""Statuses the framework raises by itself and we have a word for."""


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer with this body as JSON."""
    encoded = msgspec.json.encode(body)
    return web.Response(body=encoded, status=status, headers=headers, content_type="application/json")


def refusal(error: ServiceError) -> web.Response:
    """Return the answer that tells of an error, with the headers that go with its kind."""
    return json_answer(answers.failure(error.code, error.message, error.fields), error.status, _headers(error))


def framework_refusal(error: web.HTTPException) -> web.Response:
    """Return the answer to what the framework raised: a status we have a word for, or the standard's own."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return refusal(MethodNotAllowed(frozenset(error.allowed_methods)))
    ours = OURS.get(error.status)
    if ours is not None:
        return refusal(ours())
    phrase = HTTPStatus(error.status).phrase
    return json_answer(answers.failure(phrase.lower().replace(" ", "_"), f"{phrase}."), error.status)


def _headers(error: ServiceError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, MethodNotAllowed):
        headers[hdrs.ALLOW] = ", ".join(sorted(error.allowed))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers[hdrs.WWW_AUTHENTICATE] = _challenge(error)
    return headers


def _challenge(error: ServiceError) -> str:
    """Return how to authenticate; a request without any token is told no more than that (RFC 6750, section 3.1)."""
    if error.code == Unauthenticated.code:
        return CHALLENGE
    return f'{CHALLENGE}, error="invalid_token", error_description="{error.message}"'
