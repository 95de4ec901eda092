"""Users: register, look up, switch off and on."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service_chassis.database.paging import Order
from service_chassis.errors import Forbidden
from service_chassis.http import (
    Blueprint,
    Page,
    PageQuery,
    Paging,
    allowed,
    caller,
    caller_if_any,
    public,
    short_read,
)
from service_chassis.http.envelope import answer_schema
from service_chassis.http.errors import ValidationFailed
from service_chassis.permissions import require
from user_service.http import origin
from user_service.http.dependencies import (
    actor,
    may_find_assignees,
    may_give_roles,
    may_look_up_users,
    may_manage_users,
    may_reactivate_users,
    parts,
    role_of,
    uow,
)
from user_service.http.people_schemas import ExportView, ProfileView, UserBody, UserChangesBody
from user_service.http.profile import shown
from user_service.http.recovery import attempt, sign_up
from user_service.http.schemas import HistoryView, NoteBody, RegisterBody, RegisteredView, UserQuery, UserView
from user_service.model.email import normalised_email
from user_service.model.errors import MayNotEdit, UserNotFound
from user_service.model.history import HistoryEntry
from user_service.model.user import Role, User
from user_service.persistence.users import UserFilter
from user_service.usecases import administration, erasure, export, lifecycle, registration, throttling

users = Blueprint("users", __name__, url_prefix="/api/v1/users", description="The people and who they are.")


@users.route("", methods=["POST"])
@users.arguments(RegisterBody)
@users.response(201, RegisteredView, description="User registered")
@users.alt_response(202, schema=answer_schema(None), description="Check your mail")
@public
def register(body: Mapping[str, Any]) -> Any:
    """Register, or, as an admin, add a user with a role, who is sent a mail to set a password.

    In the demo profile an admin may give a new user a password at once.

    Where addresses have to be confirmed first, the answer is the same whether or not one is taken.
    """
    creator, role = caller_if_any(), Role(body["role"])
    details = {name: body[name] for name in ("name", "preferences", "push_token")}
    if creator is None:
        return _registered(body, role, details)
    require(creator, may_manage_users)
    if role is not Role.USER:
        require(creator, may_give_roles)
    named = {"username": body["username"], "password_hash": _given_password(body), **details}
    return {"user": registration.add(uow(), body["email"], role=role, by=str(creator.subject), **named)}


@users.route("")
@users.arguments(UserQuery, location="query")
@users.response(200, UserView(many=True))
def list_users(query: tuple[Paging, UserFilter, Order]) -> Page[User]:
    """List users.

    Admins and services with the scope `users.read` see all, managers those of role user. Everybody sees themselves,
    and who agreed to belong to accounts of theirs.
    """
    paging, chosen, order = query
    return uow().users.page(_visible(chosen), paging, order)


@users.route("/<uuid:user_id>")
@users.response(200, ProfileView)
def get_user(user_id: UUID) -> dict[str, Any]:
    """Return a user.

    Admins and services with the scope `users.read` find any, managers those of role user, without the push token;
    others find only themselves.
    """
    user = uow().users.get(user_id)
    if user.id == caller().subject or may_look_up_users(caller()):
        return shown(user)
    if may_find_assignees(caller()) and user.role == Role.USER:
        return shown(user) | {"push_token": None}
    raise UserNotFound


@users.route("/<uuid:user_id>", methods=["PATCH"])
@users.arguments(UserChangesBody)
@users.response(200, UserView, description="User changed")
def change_user(body: Mapping[str, Any], user_id: UUID) -> User:
    """Change a user; who is no admin changes only the own name."""
    return _changed(user_id, body)


@users.route("/<uuid:user_id>", methods=["PUT"])
@users.arguments(UserBody)
@users.response(200, UserView, description="User replaced")
def replace_user(body: Mapping[str, Any], user_id: UUID) -> User:
    """Replace everything the caller may change of a user; who is no admin replaces only the own name."""
    if not may_manage_users(caller()):
        return _changed(user_id, body)
    missing = [name for name in ("email", "role") if name not in body]
    if missing:
        raise ValidationFailed(fields={name: ["Missing data for required field."] for name in missing})
    return _changed(user_id, {"username": None, **body})


@users.route("/<uuid:user_id>", methods=["DELETE"])
@users.response(200, UserView, description="User deactivated")
@allowed(may_manage_users)
def delete_user(user_id: UUID) -> User:
    """Switch a user off, as the sibling `/deactivate` does; erasing is asked for by `/purge`."""
    tokens_live = parts().settings.access_token_lifetime
    return lifecycle.deactivate(uow(), user_id, "", by=caller().subject, tokens_live=tokens_live)


@users.route("/<uuid:user_id>/purge", methods=["POST"])
@users.arguments(NoteBody)
@users.response(200, UserView, description="User purged")
@allowed(may_manage_users)
def purge_user(body: Mapping[str, Any], user_id: UUID) -> User:
    """Erase the personal data of a user for good."""
    tokens_live = parts().settings.access_token_lifetime
    return erasure.purge(uow(), user_id, body["reason"], by=str(caller().subject), tokens_live=tokens_live)


@users.route("/<uuid:user_id>/export")
@users.response(200, ExportView)
def export_user(user_id: UUID) -> dict[str, Any]:
    """Return everything that is kept about a user, to admins and to whom it is about."""
    if user_id != caller().subject and not may_manage_users(caller()):
        raise UserNotFound
    return export.export(uow(), user_id)


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
@users.arguments(PageQuery, location="query")
@users.response(200, HistoryView(many=True))
@allowed(may_manage_users)
def history(paging: Paging, user_id: UUID) -> Page[HistoryEntry]:
    """Return who did what to a user, newest first."""
    return uow().users.history(uow().users.get(user_id).id, paging)


def _registered(body: Mapping[str, Any], role: Role, details: dict[str, Any]) -> Any:
    """Register who came by themselves; who comes too often is refused before anything is hashed."""
    if role is not Role.USER:
        raise Forbidden(f"This needs the permission {may_give_roles.__name__}.")
    if body["username"] is not None:
        raise Forbidden(f"This needs the permission {may_manage_users.__name__}.")
    if "password" not in body:
        raise ValidationFailed(fields={"password": ["Missing data for required field."]})
    registered = parts().attempts.of_registration(origin.client())
    answered_later = parts().settings.require_email_verification
    with short_read() as unit:
        throttling.check(unit, registered)
        throttling.check(unit, attempt("recovery" if answered_later else "registration"))
    email = normalised_email(body["email"])
    parts().password_policy.check(body["password"], email)
    password_hash = parts().passwords.hash(body["password"])
    throttling.failed(uow(), registered)
    return sign_up(email, password_hash, details)


def _given_password(body: Mapping[str, Any]) -> str | None:
    """Return the hash of a password that an admin gives to a new user, which is for walking through a demo only."""
    if "password" not in body:
        return None
    if not parts().settings.demo:
        raise ValidationFailed(fields={"password": ["Nobody sets the password of somebody else."]})
    parts().password_policy.check(body["password"], normalised_email(body["email"]))
    return parts().passwords.hash(body["password"])


def _changed(user_id: UUID, changes: Mapping[str, Any]) -> User:
    if not may_manage_users(caller()):
        _check_is_own_name(user_id, changes)
    settings = parts().settings
    live, mailed = settings.access_token_lifetime, settings.one_time_tokens
    return administration.change(uow(), user_id, actor(), dict(changes), tokens_live=live, lifetimes=mailed)


def _visible(chosen: UserFilter) -> UserFilter:
    if may_look_up_users(caller()):
        return chosen
    return chosen.as_seen_by(caller().subject, Role.USER if may_find_assignees(caller()) else None)


def _check_is_own_name(user_id: UUID, changes: Mapping[str, Any]) -> None:
    if user_id != caller().subject:
        raise UserNotFound
    if changes.keys() != {"name"}:
        raise MayNotEdit
