"""Paging as it looks in a request and in an answer."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from flask import request
from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from service_chassis.database.paging import DEFAULT_LIMIT, LARGEST_LIMIT, LARGEST_NUMBER, Page, Paging


class PageQuery(Schema):
    """The parameters of a list; loads as a `Paging`."""

    page = fields.Integer(
        validate=validate.Range(1, LARGEST_NUMBER), metadata={"description": "The page, the first is 1."}
    )
    limit = fields.Integer(
        load_default=DEFAULT_LIMIT,
        validate=validate.Range(min=1),
        metadata={"description": f"Items on a page; more than {LARGEST_LIMIT} means {LARGEST_LIMIT}."},
    )
    cursor = fields.String(
        metadata={"description": "Go on after this `next_cursor`; empty for the beginning. Excludes `page`."}
    )

    @validates_schema
    def _check_mode(self, data: Mapping[str, Any], **_: Any) -> None:
        if "page" in data and "cursor" in data:
            raise ValidationError("Page and cursor exclude each other.", "page")

    @post_load
    def _paging(self, data: Mapping[str, Any], **_: Any) -> Paging:
        return paging_of(data)


def paging_of(data: Mapping[str, Any]) -> Paging:
    """Return the paging in loaded parameters; lists with filters of their own call it in their `_paging`."""
    return Paging(min(data["limit"], LARGEST_LIMIT), data.get("page", 1), data.get("cursor"))


class PageMeta(Schema):
    total = fields.Integer(required=True)
    limit = fields.Integer(required=True)
    page = fields.Integer(required=True, allow_none=True, metadata={"description": "Null where a cursor is used."})
    total_pages = fields.Integer(required=True)
    has_next = fields.Boolean(required=True)
    has_previous = fields.Boolean(required=True)
    next_cursor = fields.String(
        allow_none=True, metadata={"description": "Only where a cursor is used; null at the end."}
    )


def link_to_next(page: Page[Any]) -> dict[str, str]:
    """Return the Link header that leads to the next piece, if there is one (RFC 8288)."""
    if not page.has_next:
        return {}
    onward = {"page": page.paging.page + 1} if page.paging.cursor is None else {"cursor": page.next_cursor}
    query = urlencode({**request.args.to_dict(flat=False), **onward}, doseq=True)
    return {"Link": f'<{quote(request.path)}?{query}>; rel="next"'}
