"""What other services ask for where what they know of accounts says no: only the owner may say that."""

from typing import Any
from uuid import UUID

from marshmallow import Schema, fields

from service_chassis.http import Blueprint, allowed, caller
from user_service.http.account_schemas import MembershipView
from user_service.http.accounts import belonging
from user_service.http.dependencies import actor, may_look_up_accounts, uow
from user_service.model.account import Account
from user_service.usecases import accounts

lookups = Blueprint("lookups", __name__, url_prefix="/api/v1/accounts", description="For services.")


class AccountReference(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)


@lookups.route("/by_token/<string:token_hash>")
@lookups.response(200, AccountReference)
@allowed(may_look_up_accounts)
def account_by_token(token_hash: str) -> Account:
    """Return the account a token stands for, by the SHA-256 of the token in hexadecimal."""
    return uow().accounts.by_token(token_hash, uow().now)


@lookups.route("/<int:account_id>/members/<uuid:user_id>")
@lookups.response(200, MembershipView)
def membership(account_id: int, user_id: UUID) -> dict[str, Any]:
    """Return a membership, to services and to those who manage the account."""
    if not may_look_up_accounts(caller()):
        accounts.check_may_manage(uow(), account_id, actor())
    return belonging(uow().accounts.live_membership(account_id, user_id))
