"""Users: register, look up, switch off and on."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service_chassis.errors import Forbidden
from service_chassis.http import Blueprint, Page, Paging, allowed, caller, caller_if_any, public
from user_service.http.dependencies import may_manage_users, may_reactivate_users, parts, role_of, uow
from user_service.http.schemas import HistoryView, NoteBody, RegisterBody, RegisteredView, UserQuery, UserView
from user_service.model.errors import UserNotFound
from user_service.model.history import HistoryEntry
from user_service.model.user import Role, User
from user_service.persistence.users import UserFilter
from user_service.usecases import lifecycle, registration

users = Blueprint("users", __name__, url_prefix="/api/v1/users", description="The people and who they are.")


@users.route("", methods=["POST"])
@users.arguments(RegisterBody)
@users.response(201, RegisteredView, description="User registered")
@public
def register(body: Mapping[str, Any]) -> dict[str, User]:
    """Register, or, as an admin, add a user with a role."""
    creator = caller_if_any()
    role = Role(body["role"])
    if role is not Role.USER and (creator is None or not may_manage_users(creator)):
        raise Forbidden("Only an admin gives a role.")
    password = registration.checked_password(body["password"], minimum=parts().settings.password_minimum)
    password_hash = parts().passwords.hash(password)
    by = str(creator.subject) if creator else "self"
    return {"user": registration.register(uow(), body["email"], body["name"], password_hash, role=role, by=by)}


@users.route("")
@users.arguments(UserQuery, location="query")
@users.response(200, UserView(many=True))
def list_users(query: tuple[Paging, UserFilter]) -> Page[User]:
    """List users; who is no admin sees only the own entry."""
    paging, chosen = query
    return uow().users.page(chosen if may_manage_users(caller()) else chosen.only(caller().subject), paging)


@users.route("/<uuid:user_id>")
@users.response(200, UserView)
def get_user(user_id: UUID) -> User:
    """Return a user; who is no admin finds only the own entry."""
    if user_id != caller().subject and not may_manage_users(caller()):
        raise UserNotFound
    return uow().users.get(user_id)


@users.route("/<uuid:user_id>/deactivate", methods=["POST"])
@users.arguments(NoteBody)
@users.response(200, UserView, description="User deactivated")
@allowed(may_manage_users)
def deactivate_user(body: Mapping[str, Any], user_id: UUID) -> User:
    """Switch a user off and end all sessions; nothing is deleted."""
    tokens_live = parts().settings.access_token_lifetime
    return lifecycle.deactivate(uow(), user_id, body["reason"], by=caller().subject, tokens_live=tokens_live)


@users.route("/<uuid:user_id>/reactivate", methods=["POST"])
@users.arguments(NoteBody)
@users.response(200, UserView, description="User reactivated")
@allowed(may_reactivate_users)
def reactivate_user(body: Mapping[str, Any], user_id: UUID) -> User:
    """Switch a user on again."""
    role = role_of(caller())
    return lifecycle.reactivate(uow(), user_id, body["reason"], by=caller().subject, as_role=role)


@users.route("/<uuid:user_id>/history")
@users.response(200, HistoryView(many=True))
@allowed(may_manage_users)
def history(user_id: UUID) -> Page[HistoryEntry]:
    """Return who did what to a user, newest first."""
    return Page.whole(uow().users.history(uow().users.get(user_id).id))
