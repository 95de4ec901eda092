"""Shapes of requests and answers."""

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from service_chassis.http import PageQuery, Paging
from service_chassis.http.paging import paging_of
from user_service.model.user import EMAIL_LIMIT, NAME_LIMIT, Role, Status
from user_service.persistence.users import UserFilter

PASSWORD_LIMIT = 1_000
NO_NUL = validate.ContainsNoneOf("\x00", error="It must not hold a NUL character.")


def _text(longest: int, *, shortest: int = 0) -> list[validate.Validator]:
    return [validate.Length(min=shortest, max=longest), NO_NUL]


class UserView(Schema):
    id = fields.UUID(required=True)
    number = fields.Integer(required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True)
    status = fields.String(required=True)
    is_active = fields.Boolean(required=True)
    created_at = fields.DateTime(required=True, attribute="registered_at")
    last_login_at = fields.DateTime(required=True, allow_none=True)
    last_activity_at = fields.DateTime(required=True)
    reactivated_at = fields.DateTime(required=True, allow_none=True)
    deactivated_at = fields.DateTime(required=True, allow_none=True)
    deactivation_reason = fields.String(required=True, allow_none=True)


class RegisterBody(Schema):
    email = fields.String(required=True, validate=_text(EMAIL_LIMIT, shortest=3))
    password = fields.String(required=True, validate=_text(PASSWORD_LIMIT, shortest=1), load_only=True)
    name = fields.String(load_default="", validate=_text(NAME_LIMIT))
    role = fields.String(load_default=Role.USER.value, validate=validate.OneOf([role.value for role in Role]))


class RegisteredView(Schema):
    user = fields.Nested(UserView, required=True)


class LoginBody(Schema):
    email = fields.String(required=True, validate=_text(EMAIL_LIMIT))
    password = fields.String(required=True, validate=_text(PASSWORD_LIMIT), load_only=True)


class RefreshBody(Schema):
    refresh_token = fields.String(required=True, validate=_text(500))


class TokensView(Schema):
    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds the access token lives."})
    user = fields.Nested(UserView, required=True)


class NoteBody(Schema):
    reason = fields.String(load_default="", validate=_text(500), metadata={"description": "Kept in the history."})


class HistoryView(Schema):
    action = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)
    actor = fields.String(required=True)
    at = fields.DateTime(required=True)
    correlation_id = fields.String(required=True, allow_none=True)


class UserQuery(PageQuery):
    status = fields.String(validate=validate.OneOf([status.value for status in Status]))
    role = fields.String(validate=validate.OneOf([role.value for role in Role]))
    email = fields.String(validate=_text(EMAIL_LIMIT), metadata={"description": "A part of the address."})
    inactive_since = fields.AwareDateTime(metadata={"description": "Without activity since this instant."})

    @post_load
    def _paging(self, data: dict[str, Any], **_: Any) -> tuple[Paging, UserFilter]:
        names = ("status", "role", "email", "inactive_since")
        chosen = UserFilter(**{name: data.pop(name, None) for name in names})
        return paging_of(data), chosen
