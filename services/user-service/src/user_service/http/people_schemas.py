"""Shapes of what people say about themselves, and of what admins change about them."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from user_service.http.schemas import PUSH_TOKEN_LIMIT, UserView, line, text
from user_service.model.email import EMAIL_LIMIT
from user_service.model.user import NAME_LIMIT, USERNAME_LIMIT, Role

OF_ADMINS = {"description": "Required of admins."}


class PreferencesView(Schema):
    email = fields.Boolean(required=True)
    push = fields.Boolean(required=True)


class ProfileView(UserView):
    push_token = fields.String(required=True, allow_none=True)
    preferences = fields.Nested(PreferencesView, required=True)


class _Changes(Schema):
    """A body of which nothing is required, but something has to be there."""

    @validates_schema
    def _check_anything(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError(f"Name one of {', '.join(self.fields)}.")


class ProfileBody(_Changes):
    name = fields.String(validate=line(NAME_LIMIT))
    push_token = fields.String(allow_none=True, validate=line(PUSH_TOKEN_LIMIT))


class PreferenceChangesBody(_Changes):
    email = fields.Boolean()
    push = fields.Boolean()


class UserBody(Schema):
    """Everything that may be changed about a user; a caller who is no admin names nothing but the name."""

    name = fields.String(required=True, validate=line(NAME_LIMIT))
    email = fields.String(validate=text(EMAIL_LIMIT, shortest=3), metadata=OF_ADMINS)
    username = fields.String(
        allow_none=True,
        validate=text(USERNAME_LIMIT, shortest=1),
        metadata={"description": "For admins to give; none where it is left out."},
    )
    role = fields.String(validate=validate.OneOf([role.value for role in Role]), metadata=OF_ADMINS)


class UserChangesBody(_Changes):
    name = fields.String(validate=line(NAME_LIMIT))
    email = fields.String(validate=text(EMAIL_LIMIT, shortest=3))
    username = fields.String(
        allow_none=True, validate=text(USERNAME_LIMIT, shortest=1), metadata={"description": "Null for none."}
    )
    role = fields.String(validate=validate.OneOf([role.value for role in Role]))


class ExportView(Schema):
    """One user's data by subject; what a row holds is what the service keeps."""

    exported_at = fields.DateTime(required=True)
    user = fields.Dict(required=True)
    preferences = fields.Dict(required=True)
    memberships = fields.List(fields.Dict(), required=True)
    invitations = fields.List(fields.Dict(), required=True)
    sessions = fields.List(fields.Dict(), required=True)
    notifications = fields.List(fields.Dict(), required=True)
    history = fields.List(fields.Dict(), required=True)
