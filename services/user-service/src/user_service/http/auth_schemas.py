"""Shapes of requests and answers about sessions and what guards them."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from service_chassis.http import caller
from user_service.http.schemas import PASSWORD_LIMIT, UserView, text
from user_service.model.email import EMAIL_LIMIT

TOKEN_LIMIT = 500


class OpaqueLoginBody(Schema):
    """Whoever signs in is named by exactly one of `email` and `username`; either may hold the one or the other."""

    email = fields.String(validate=text(EMAIL_LIMIT), metadata={"description": "E-mail address or username."})
    username = fields.String(validate=text(EMAIL_LIMIT), metadata={"description": "The same, by its other name."})
    password = fields.String(required=True, validate=text(PASSWORD_LIMIT), load_only=True)
    device_token = fields.String(
        load_default=None,
        allow_none=True,
        validate=text(TOKEN_LIMIT),
        metadata={"description": "From an earlier sign-in here; it keeps the door open while others guess."},
    )

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_one(self, _: Any, given: Any, **__: Any) -> None:
        # What is no object at all is told by itself.
        if isinstance(given, Mapping) and len(given.keys() & {"email", "username"}) != 1:
            raise ValidationError("Name the user by exactly one of email and username.", "email")

    @post_load
    def _account(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return data | {"account": data["email"] if "email" in data else data["username"]}


class LoginBody(OpaqueLoginBody):
    cookies = fields.Boolean(
        load_default=False,
        metadata={"description": "For browsers: keep refresh and device token in cookies no script can read."},
    )


class RefreshBody(Schema):
    refresh_token = fields.String(load_default=None, allow_none=True, validate=text(TOKEN_LIMIT))


class AccessTokenView(Schema):
    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds the access token lives."})


class TokensView(AccessTokenView):
    refresh_token = fields.String(
        required=True, allow_none=True, metadata={"description": "Null where it is in a cookie."}
    )
    device_token = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Proves this device at the next sign-in; null unless this is one."},
    )
    user = fields.Nested(UserView, required=True)


class OpaqueTokenView(Schema):
    token = fields.String(required=True, metadata={"description": "Shown this once."})
    expires_at = fields.DateTime(required=True, attribute="session.expires_at")
    user = fields.Nested(UserView, required=True)


class ClientBody(Schema):
    grant_type = fields.String(load_default="client_credentials", validate=validate.Equal("client_credentials"))
    client_id = fields.String(required=True, validate=text(100))
    client_secret = fields.String(required=True, validate=text(TOKEN_LIMIT), load_only=True)


class SessionView(Schema):
    id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"enum": ["refresh", "opaque"]})
    current = fields.Function(
        lambda session: session.id == caller().session_id,
        metadata={"type": "boolean", "description": "Whether it is the one that asks."},
        required=True,
    )
    address = fields.String(required=True, allow_none=True)
    user_agent = fields.String(required=True, allow_none=True)
    created_at = fields.DateTime(required=True)
    last_used_at = fields.DateTime(required=True, attribute="rotated_at")
    expires_at = fields.DateTime(required=True)


class EndedView(Schema):
    ended = fields.Integer(required=True, metadata={"description": "How many sessions that were."})


class EmailBody(Schema):
    email = fields.String(required=True, validate=text(EMAIL_LIMIT))


class OneTimeTokenBody(Schema):
    token = fields.String(required=True, validate=text(TOKEN_LIMIT), load_only=True)


class VerifiedView(Schema):
    email = fields.String(required=True)
    email_verified_at = fields.DateTime(required=True, allow_none=True)


class NewPasswordBody(Schema):
    password = fields.String(required=True, validate=text(PASSWORD_LIMIT), load_only=True)
    password_confirm = fields.String(validate=text(PASSWORD_LIMIT), load_only=True)

    @validates_schema
    def _check_confirmation(self, data: Mapping[str, Any], **_: Any) -> None:
        if data.get("password_confirm", data.get("password")) != data.get("password"):
            raise ValidationError("It is not the same password.", "password_confirm")


class PasswordResetBody(NewPasswordBody):
    token = fields.String(required=True, validate=text(TOKEN_LIMIT), load_only=True)


class PasswordChangeBody(NewPasswordBody):
    current_password = fields.String(required=True, validate=text(PASSWORD_LIMIT), load_only=True)


class EmailChangeBody(Schema):
    email = fields.String(required=True, validate=text(EMAIL_LIMIT))
    password = fields.String(required=True, validate=text(PASSWORD_LIMIT), load_only=True)
