"""The HTTP application kit: what a service's blueprints are written with."""

from service_chassis.database.paging import Page, Paging
from service_chassis.http.app import web_app
from service_chassis.http.envelope import Blueprint
from service_chassis.http.guard import allowed, caller, caller_if_any, public
from service_chassis.http.health import Check
from service_chassis.http.idempotency import takes_no_key
from service_chassis.http.kit import parts
from service_chassis.http.marks import repeated_if, takes_query
from service_chassis.http.paging import PageQuery
from service_chassis.http.unit import question, short_read, short_write, uow

__all__ = [
    "Blueprint",
    "Check",
    "Page",
    "PageQuery",
    "Paging",
    "allowed",
    "caller",
    "caller_if_any",
    "parts",
    "public",
    "question",
    "repeated_if",
    "short_read",
    "short_write",
    "takes_no_key",
    "takes_query",
    "uow",
    "web_app",
]
