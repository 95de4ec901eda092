"""Shapes of requests and answers."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate

from service_chassis.database.paging import LARGEST_NUMBER, Order
from service_chassis.http import PageQuery, Paging
from service_chassis.http.fields import Instant
from service_chassis.http.paging import paging_of
from user_service.model.email import EMAIL_LIMIT
from user_service.model.user import NAME_LIMIT, USERNAME_LIMIT, Role, Status, is_line
from user_service.persistence.users import ORDERS, UserFilter

PASSWORD_LIMIT = 1_000
PUSH_TOKEN_LIMIT = 4_096
NO_NUL = validate.ContainsNoneOf("\x00", error="It must not hold a NUL character.")


def text(longest: int, *, shortest: int = 0) -> list[validate.Validator]:
    return [validate.Length(min=shortest, max=longest), NO_NUL]


class _Line(validate.Validator):
    def __call__(self, value: str) -> str:
        if not is_line(value):
            raise ValidationError("It must not hold control characters.")
        return value


def line(longest: int, *, shortest: int = 0) -> list[validate.Validator]:
    """Return the checks of what is shown on one line, or sent in a header."""
    return [*text(longest, shortest=shortest), _Line()]


class UserView(Schema):
    id = fields.UUID(required=True)
    number = fields.Integer(required=True)
    email = fields.String(required=True)
    username = fields.String(required=True, allow_none=True, metadata={"description": "Another name to sign in with."})
    name = fields.String(required=True)
    home_account_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The user's own account; opened by the first sign-in."}
    )
    role = fields.String(required=True)
    status = fields.String(required=True)
    is_active = fields.Boolean(required=True)
    email_verified_at = fields.DateTime(required=True, allow_none=True)
    created_at = fields.DateTime(required=True, attribute="registered_at")
    last_login_at = fields.DateTime(required=True, allow_none=True)
    last_activity_at = fields.DateTime(required=True)
    reactivated_at = fields.DateTime(required=True, allow_none=True)
    deactivated_at = fields.DateTime(required=True, allow_none=True)
    deactivation_reason = fields.String(required=True, allow_none=True)


class PreferencesBody(Schema):
    email = fields.Boolean()
    push = fields.Boolean()


class RegisterBody(Schema):
    email = fields.String(required=True, validate=text(EMAIL_LIMIT, shortest=3))
    password = fields.String(
        validate=text(PASSWORD_LIMIT, shortest=1),
        load_only=True,
        metadata={"description": "Required of who registers; an admin gives none, and the user is asked by mail."},
    )
    name = fields.String(load_default="", validate=line(NAME_LIMIT))
    role = fields.String(load_default=Role.USER.value, validate=validate.OneOf([role.value for role in Role]))
    username = fields.String(
        load_default=None,
        allow_none=True,
        validate=text(USERNAME_LIMIT, shortest=1),
        metadata={"description": "For admins to give: another name to sign in with."},
    )
    preferences = fields.Nested(PreferencesBody, load_default=None)
    push_token = fields.String(load_default=None, allow_none=True, validate=line(PUSH_TOKEN_LIMIT))


class RegisteredView(Schema):
    user = fields.Nested(UserView, required=True)


class LoginBody(Schema):
    email = fields.String(required=True, validate=text(EMAIL_LIMIT))
    password = fields.String(required=True, validate=text(PASSWORD_LIMIT), load_only=True)


class RefreshBody(Schema):
    refresh_token = fields.String(required=True, validate=text(500))


class TokensView(Schema):
    access_token = fields.String(required=True)
    refresh_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds the access token lives."})
    user = fields.Nested(UserView, required=True)


class NoteBody(Schema):
    reason = fields.String(load_default="", validate=text(500), metadata={"description": "Kept in the history."})


class HistoryView(Schema):
    action = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)
    actor = fields.String(required=True)
    at = fields.DateTime(required=True)
    correlation_id = fields.String(required=True, allow_none=True)


class UserQuery(PageQuery):
    number = fields.Integer(validate=validate.Range(1, LARGEST_NUMBER), metadata={"description": "The public number."})
    status = fields.String(validate=validate.OneOf([status.value for status in Status]))
    role = fields.String(validate=validate.OneOf([role.value for role in Role]))
    email = fields.String(validate=text(EMAIL_LIMIT), metadata={"description": "A part of the address."})
    inactive_since = Instant(metadata={"description": "Without activity since this instant."})
    sort = fields.String(load_default="created_at", validate=validate.OneOf(list(ORDERS)))

    @post_load
    def _paging(self, data: dict[str, Any], **_: Any) -> tuple[Paging, UserFilter, Order]:
        names = ("number", "status", "role", "email", "inactive_since")
        chosen = UserFilter(**{name: data.pop(name, None) for name in names})
        return paging_of(data), chosen, ORDERS[data["sort"]]
