"""Shapes of accounts, members and invitations."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from service_chassis.database.paging import LARGEST_NUMBER
from service_chassis.http import PageQuery, Paging
from service_chassis.http.paging import paging_of
from user_service.http.schemas import line, text
from user_service.model.account import WEBSITE_LIMIT
from user_service.model.email import EMAIL_LIMIT
from user_service.model.membership import AccountRole
from user_service.model.user import NAME_LIMIT

MASKED = "********"
ROLES = {"description": "1 is Admin, 2 is Normal user."}
WEBSITE = [*text(WEBSITE_LIMIT), validate.Regexp(r"(https?://\S+)?\Z", error="Not a web address.")]


class AccountView(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    website = fields.String(required=True, allow_none=True)
    app_secret_token = fields.String(required=True, metadata={"description": "Masked in lists and for all but Admins."})
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class AccountBody(Schema):
    name = fields.String(required=True, validate=line(NAME_LIMIT, shortest=1))
    website = fields.String(load_default="", validate=WEBSITE)


class AccountChangesBody(Schema):
    name = fields.String(validate=line(NAME_LIMIT, shortest=1))
    website = fields.String(validate=WEBSITE, metadata={"description": "Empty for none."})

    @validates_schema
    def _check_anything(self, data: Mapping[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("Name one of name, website.")


class AccountQuery(PageQuery):
    name = fields.String(validate=text(NAME_LIMIT), metadata={"description": "A part of the name."})

    @post_load
    def _paging(self, data: dict[str, Any], **_: Any) -> tuple[Paging, str | None]:
        return paging_of(data), data.get("name")


class RotationBody(Schema):
    overlap_hours = fields.Integer(
        load_default=24,
        validate=validate.Range(0, 24 * 30),
        metadata={"description": "For how long the previous token stays good, too."},
    )


class MembershipView(Schema):
    account_id = fields.Integer(required=True)
    user_id = fields.UUID(required=True)
    role = fields.Integer(required=True, metadata=ROLES)
    role_name = fields.String(required=True)
    granted_at = fields.DateTime(required=True)
    consented_at = fields.DateTime(
        required=True, allow_none=True, metadata={"description": "Null until the user has agreed to belong here."}
    )


class MemberView(MembershipView):
    user_number = fields.Integer(required=True)
    user_email = fields.String(required=True, allow_none=True, metadata={"description": "Null without consent."})
    user_name = fields.String(required=True, allow_none=True)


class MemberQuery(PageQuery):
    user_email = fields.String(validate=text(EMAIL_LIMIT), metadata={"description": "A part of the address."})

    @post_load
    def _paging(self, data: dict[str, Any], **_: Any) -> tuple[Paging, str | None]:
        return paging_of(data), data.get("user_email")


class RoleBody(Schema):
    role = fields.Enum(AccountRole, by_value=fields.Integer(strict=True), required=True, metadata=ROLES)


class MemberBody(Schema):
    user_id = fields.UUID()
    user_number = fields.Integer(strict=True, validate=validate.Range(1, LARGEST_NUMBER))
    role = fields.Enum(
        AccountRole, by_value=fields.Integer(strict=True), load_default=AccountRole.NORMAL, metadata=ROLES
    )

    @validates_schema
    def _check_one(self, data: Mapping[str, Any], **_: Any) -> None:
        if len(data.keys() & {"user_id", "user_number"}) != 1:
            raise ValidationError("Name the user by exactly one of user_id and user_number; invite by address.")


class InvitationBody(Schema):
    email = fields.String(required=True, validate=text(EMAIL_LIMIT, shortest=3))
    role = fields.Enum(
        AccountRole, by_value=fields.Integer(strict=True), load_default=AccountRole.NORMAL, metadata=ROLES
    )


class InvitationView(Schema):
    id = fields.UUID(required=True)
    account_id = fields.Integer(required=True)
    email = fields.String(required=True)
    role = fields.Integer(required=True, metadata=ROLES)
    role_name = fields.String(required=True)
    status = fields.String(required=True)
    invited_by = fields.UUID(required=True)
    created_at = fields.DateTime(required=True)
    expires_at = fields.DateTime(required=True)


class AcceptBody(Schema):
    token = fields.String(required=True, validate=text(500, shortest=1), load_only=True)


class AccountHistoryView(Schema):
    action = fields.String(required=True)
    subject = fields.String(required=True, allow_none=True)
    actor = fields.String(required=True)
    at = fields.DateTime(required=True)
    correlation_id = fields.String(required=True, allow_none=True)
