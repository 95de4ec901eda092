"""Invitations to accounts."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service_chassis.http import Blueprint, Page, PageQuery, Paging, caller, repeated_if
from user_service.http import origin
from user_service.http.account_schemas import AcceptBody, InvitationBody, InvitationView, MembershipView
from user_service.http.accounts import belonging, still_manages
from user_service.http.dependencies import actor, parts, uow
from user_service.model.invitation import Invitation, InvitationStatus
from user_service.model.membership import AccountRole
from user_service.usecases import invitations as use_case

invitations = Blueprint(
    "invitations", __name__, url_prefix="/api/v1/accounts", description="Asking people to belong to an account."
)


@invitations.route("/<int:account_id>/invitations")
@invitations.arguments(PageQuery, location="query")
@invitations.response(200, InvitationView(many=True))
def list_invitations(paging: Paging, account_id: int) -> Page[dict[str, Any]]:
    """List an account's invitations, newest first, to those who manage it."""
    return use_case.listed(uow(), account_id, actor(), paging).each(lambda found: shown(*found))


@invitations.route("/<int:account_id>/invitations", methods=["POST"])
@invitations.arguments(InvitationBody)
@invitations.response(201, InvitationView, description="Invitation sent")
@repeated_if(still_manages)
def invite(body: Mapping[str, Any], account_id: int) -> dict[str, Any]:
    """Invite somebody by mail; an invitation that is still open is replaced."""
    attempt = parts().attempts.of_invitation(body["email"], origin.client())
    invitation = use_case.invite(uow(), account_id, actor(), body["email"], body["role"], attempt=attempt)
    return shown(invitation, InvitationStatus.PENDING)


@invitations.route("/<int:account_id>/invitations/<uuid:invitation_id>", methods=["DELETE"])
@invitations.response(200, InvitationView, description="Invitation revoked")
def revoke(account_id: int, invitation_id: UUID) -> dict[str, Any]:
    """Take an invitation back."""
    return shown(use_case.revoke(uow(), account_id, actor(), invitation_id), InvitationStatus.REVOKED)


@invitations.route("/invitations/accept", methods=["POST"])
@invitations.arguments(AcceptBody)
@invitations.response(200, MembershipView, description="Invitation accepted")
def accept(body: Mapping[str, Any]) -> dict[str, Any]:
    """Belong to the account from now on; the token came by mail, to the address of the caller."""
    return belonging(use_case.accept(uow(), caller().subject, body["token"]))


def shown(invitation: Invitation, status: InvitationStatus) -> dict[str, Any]:
    role = AccountRole(invitation.role)
    names = ("id", "account_id", "email", "invited_by", "created_at", "expires_at")
    seen = {name: getattr(invitation, name) for name in names}
    return seen | {"role": role.value, "role_name": role.label, "status": status}
