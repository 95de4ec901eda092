"""Who may pass: every route needs a verified token unless its view says otherwise."""

from collections.abc import Callable
from typing import cast

from flask import g, request

from service_chassis.errors import Unauthenticated
from service_chassis.http.kit import kit
from service_chassis.http.marks import SAFE, Marks, View, marked, marks_of_request
from service_chassis.permissions import Permission, require
from service_chassis.revocation import RevocationsStale, SessionEnded
from service_chassis.tokens import Principal


def public(view: View) -> View:
    """Let everybody call the view; nobody's token is looked at."""
    return marked(view, public=True)


def allowed(permission: Permission) -> Callable[[View], View]:
    """Let only callers with the permission call the view, which makes it an administrative one."""

    def decorate(view: View) -> View:
        return marked(view, permission=permission)

    return decorate


def caller() -> Principal:
    """Return who calls; of a public view nobody knows."""
    return cast("Principal", g.principal)


def caller_if_any() -> Principal | None:
    """Return who calls a public view, or None where no token came along. Raises Unauthenticated for a bad one."""
    if "principal" not in g:
        g.principal = _live_caller() if "Authorization" in request.headers else None
        if g.principal is not None:
            _check_freshness(marks_of_request())
    return cast("Principal | None", g.principal)


def check_caller() -> None:
    """Let the request pass or raise Unauthenticated, RevocationsStale or Forbidden, before the view sees any of it."""
    if request.url_rule is None:
        return
    marks = marks_of_request()
    if marks.public:
        return
    g.principal = _live_caller()
    _check_freshness(marks)
    if marks.permission is not None:
        require(g.principal, marks.permission)


def _live_caller() -> Principal:
    principal = kit().verifier.verify(_bearer_token())
    if kit().revocations.is_revoked(principal):
        raise SessionEnded
    return principal


def _check_freshness(marks: Marks) -> None:
    """A session that ended seconds ago may still read, but not change or administer anything."""
    matters = request.method not in SAFE or marks.permission is not None
    if matters and not kit().revocations.fresh:
        raise RevocationsStale(retry_after=1)


def _bearer_token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Unauthenticated
    return token
