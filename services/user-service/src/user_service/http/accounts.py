"""Accounts, their token and their members."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from service_chassis.http import Blueprint, Page, PageQuery, Paging, repeated_if, short_write
from user_service.http.account_schemas import (
    MASKED,
    AccountBody,
    AccountChangesBody,
    AccountHistoryView,
    AccountQuery,
    AccountView,
    MemberBody,
    MemberQuery,
    MemberView,
    RoleBody,
    RotationBody,
)
from user_service.http.dependencies import actor, uow
from user_service.model.account import Account
from user_service.model.history import AccountHistoryEntry
from user_service.model.membership import AccountRole, Membership
from user_service.model.user import User
from user_service.usecases import accounts as use_case
from user_service.usecases import members
from user_service.usecases.members import Named

accounts = Blueprint("accounts", __name__, url_prefix="/api/v1/accounts", description="What users share.")


def may_still_see(account: Mapping[str, Any]) -> None:
    """Raise unless the caller may see what was answered about an account, with the token where that is in it."""
    use_case.check_may_manage(uow(), account["id"], actor())
    if account["app_secret_token"] != MASKED:
        use_case.check_may_read_token(uow(), account["id"], actor())


def still_manages(answer: Mapping[str, Any]) -> None:
    """Raise unless the caller may see who belongs, or is to belong, to an account."""
    use_case.check_may_manage(uow(), answer["account_id"], actor())


@accounts.route("")
@accounts.arguments(AccountQuery, location="query")
@accounts.response(200, AccountView(many=True))
def list_accounts(query: tuple[Paging, str | None]) -> Page[dict[str, Any]]:
    """List the accounts the caller administers; admins of the platform see all."""
    paging, name = query
    by = actor()
    page = uow().accounts.page(paging, administered_by=None if by.is_admin else by.user_id, name=name)
    return page.each(lambda account: shown(account, None))


@accounts.route("", methods=["POST"])
@accounts.arguments(AccountBody)
@accounts.response(201, AccountView, description="Account created")
@repeated_if(may_still_see)
def create_account(body: Mapping[str, Any]) -> dict[str, Any]:
    """Add an account, of which the caller is Admin."""
    account = use_case.create(uow(), actor(), body["name"], body["website"] or None)
    return shown(account, use_case.token_for(uow(), account, actor()))


@accounts.route("/<int:account_id>")
@accounts.response(200, AccountView)
def get_account(account_id: int) -> dict[str, Any]:
    """Return an account to its members; that an Admin reads the token is noted in its history."""
    with short_write() as unit:
        account = use_case.seen(unit, account_id, actor())
        return shown(account, use_case.token_for(unit, account, actor()))


@accounts.route("/<int:account_id>", methods=["PATCH"])
@accounts.arguments(AccountChangesBody)
@accounts.response(200, AccountView, description="Account changed")
@repeated_if(may_still_see)
def change_account(body: Mapping[str, Any], account_id: int) -> dict[str, Any]:
    """Change name or website."""
    account = use_case.change(uow(), account_id, actor(), name=body.get("name"), website=body.get("website"))
    return shown(account, None)


@accounts.route("/<int:account_id>", methods=["PUT"])
@accounts.arguments(AccountBody)
@accounts.response(200, AccountView, description="Account replaced")
@repeated_if(may_still_see)
def replace_account(body: Mapping[str, Any], account_id: int) -> dict[str, Any]:
    """Replace name and website."""
    return shown(use_case.change(uow(), account_id, actor(), name=body["name"], website=body["website"]), None)


@accounts.route("/<int:account_id>", methods=["DELETE"])
@accounts.response(200, description="Account deleted")
def delete_account(account_id: int) -> None:
    """Delete an account for good, with its memberships and invitations."""
    use_case.delete(uow(), account_id, actor())


@accounts.route("/<int:account_id>/token/rotate", methods=["POST"])
@accounts.arguments(RotationBody)
@accounts.response(200, AccountView, description="Token rotated")
@repeated_if(may_still_see)
def rotate_token(body: Mapping[str, Any], account_id: int) -> dict[str, Any]:
    """Give out a new token."""
    overlap = timedelta(hours=body["overlap_hours"])
    return shown(*use_case.rotate_token(uow(), account_id, actor(), overlap))


@accounts.route("/<int:account_id>/history")
@accounts.arguments(PageQuery, location="query")
@accounts.response(200, AccountHistoryView(many=True))
def history(paging: Paging, account_id: int) -> Page[AccountHistoryEntry]:
    """Return who did what to an account, newest first, to those who manage it."""
    use_case.check_may_manage(uow(), account_id, actor())
    return uow().accounts.history(account_id, paging)


@accounts.route("/<int:account_id>/members")
@accounts.arguments(MemberQuery, location="query")
@accounts.response(200, MemberView(many=True))
def list_members(query: tuple[Paging, str | None], account_id: int) -> Page[dict[str, Any]]:
    """List the members, to those who manage the account."""
    paging, email = query
    use_case.check_may_manage(uow(), account_id, actor())
    page = uow().accounts.members(account_id, paging, email, email_of_all=actor().is_admin)
    return page.each(lambda row: member(*row))


@accounts.route("/<int:account_id>/members", methods=["POST"])
@accounts.arguments(MemberBody)
@accounts.response(201, MemberView, description="Member added")
@repeated_if(still_manages)
def add_member(body: Mapping[str, Any], account_id: int) -> dict[str, Any]:
    """Let a user belong to the account at once, without asking; invitations ask, and reach who is known by address.

    Until the user accepts an invitation, too, the membership shows nobody but admins of the platform who it is.
    """
    named = Named(**{name: value for name, value in body.items() if name != "role"})
    return member(*members.add(uow(), account_id, actor(), named, body["role"]))


@accounts.route("/<int:account_id>/members/<uuid:user_id>", methods=["PATCH"])
@accounts.arguments(RoleBody)
@accounts.response(200, MemberView, description="Role changed")
@repeated_if(still_manages)
def change_role(body: Mapping[str, Any], account_id: int, user_id: UUID) -> dict[str, Any]:
    """Give a member another role; the last Admin stays one."""
    return member(*members.change_role(uow(), account_id, actor(), user_id, body["role"]))


@accounts.route("/<int:account_id>/members/<uuid:user_id>", methods=["DELETE"])
@accounts.response(200, description="Member removed")
def remove_member(account_id: int, user_id: UUID) -> None:
    """End a membership; members may leave by themselves, but for the last Admin."""
    members.remove(uow(), account_id, actor(), user_id)


def shown(account: Account, token: UUID | None) -> dict[str, Any]:
    """Return what is seen of an account, with the token where the caller may know it."""
    seen = {name: getattr(account, name) for name in ("id", "name", "website", "created_at", "updated_at")}
    return seen | {"app_secret_token": MASKED if token is None else str(token)}


def member(membership: Membership, user: User) -> dict[str, Any]:
    """Return what is seen of a member, which is no profile where the member has not agreed to be one."""
    shows_profile = membership.is_consented or actor().is_admin
    email, name = (user.email, user.name) if shows_profile else (None, None)
    return belonging(membership) | {"user_number": user.number, "user_email": email, "user_name": name}


def belonging(membership: Membership) -> dict[str, Any]:
    role = AccountRole(membership.role)
    seen = {name: getattr(membership, name) for name in ("account_id", "user_id", "granted_at", "consented_at")}
    return seen | {"role": role.value, "role_name": role.label}
