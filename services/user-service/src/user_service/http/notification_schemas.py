"""Shapes of notifications, as producers and those who deliver know them."""

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from service_chassis.http import PageQuery, Paging
from service_chassis.http.fields import Instant
from service_chassis.http.paging import paging_of
from user_service.http.schemas import text
from user_service.model.notification import (
    DEFAULT_PRIORITY,
    LARGEST_PRIORITY,
    Channel,
    NotificationStatus,
    Report,
)
from user_service.persistence.notifications import NotificationFilter
from user_service.usecases.notifications import Wanted


class NotificationView(Schema):
    id = fields.UUID(required=True)
    type = fields.String(required=True, attribute="channel")
    user_id = fields.UUID(required=True, allow_none=True)
    template_code = fields.String(required=True)
    status = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True, metadata={"description": "Why it was skipped or failed."})
    priority = fields.Integer(required=True)
    request_id = fields.String(required=True, allow_none=True)
    correlation_id = fields.String(required=True, allow_none=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class NotificationBody(Schema):
    notification_type = fields.String(required=True, validate=validate.OneOf(list(Channel)))
    user_id = fields.UUID(required=True)
    template_code = fields.String(required=True, validate=text(200, shortest=1))
    variables = fields.Dict(keys=fields.String(), load_default=dict)
    priority = fields.Integer(strict=True, load_default=DEFAULT_PRIORITY, validate=validate.Range(0, LARGEST_PRIORITY))
    request_id = fields.String(
        load_default=None,
        allow_none=True,
        validate=text(200, shortest=1),
        metadata={"description": "Asking again under the same name changes nothing."},
    )
    metadata = fields.Dict(keys=fields.String(), load_default=dict)

    @post_load
    def _wanted(self, data: dict[str, Any], **_: Any) -> Wanted:
        return Wanted(channel=Channel(data.pop("notification_type")), **data)


class ReportBody(Schema):
    notification_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(list(Report)))
    timestamp = Instant(load_default=None, allow_none=True)
    error = fields.String(load_default=None, allow_none=True, validate=text(2_000))


class NotificationQuery(PageQuery):
    status = fields.String(validate=validate.OneOf(list(NotificationStatus)))
    type = fields.String(validate=validate.OneOf(list(Channel)))
    user_id = fields.UUID()

    @post_load
    def _paging(self, data: dict[str, Any], **_: Any) -> tuple[Paging, NotificationFilter]:
        chosen = NotificationFilter(data.get("user_id"), data.get("status"), data.get("type"))
        return paging_of(data), chosen
