"""What users see and change of themselves."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service_chassis.http import Blueprint, caller, question
from service_chassis.permissions import require
from user_service.http.dependencies import may_look_up_users, parts, uow
from user_service.http.people_schemas import PreferenceChangesBody, PreferencesView, ProfileBody, ProfileView
from user_service.http.schemas import UserView
from user_service.model.preferences import Wishes
from user_service.model.user import User
from user_service.usecases import profile as use_case

profile = Blueprint("profile", __name__, url_prefix="/api/v1/users", description="One's own profile and preferences.")

SHOWN = ("push_token", *UserView().fields)


@profile.route("/profile")
@profile.response(200, ProfileView)
def get_profile() -> dict[str, Any]:
    """Return who calls."""
    with question() as unit:
        found = unit.users.shown(caller().subject)
    return {**found, "preferences": parts().preferences.of(found["id"], uow)}


@profile.route("/profile", methods=["PATCH"])
@profile.arguments(ProfileBody)
@profile.response(200, ProfileView, description="Profile changed")
def change_profile(body: Mapping[str, Any]) -> dict[str, Any]:
    """Change the own name or push token; a push token of null is none."""
    return shown(use_case.change(uow(), caller().subject, dict(body)))


@profile.route("/profile", methods=["DELETE"])
@profile.response(200, UserView, description="Account deactivated successfully")
def leave() -> User:
    """Switch oneself off and end all sessions; nothing is deleted."""
    return use_case.leave(uow(), caller().subject, tokens_live=parts().settings.access_token_lifetime)


@profile.route("/preferences")
@profile.response(200, PreferencesView)
def get_preferences() -> Wishes:
    """Return by which channels the caller wants to be notified."""
    return parts().preferences.of(caller().subject, uow)


@profile.route("/preferences", methods=["PATCH"])
@profile.arguments(PreferenceChangesBody)
@profile.response(200, PreferencesView, description="Preferences changed")
def change_preferences(body: Mapping[str, Any]) -> Wishes:
    """Switch channels on or off."""
    return parts().preferences.change(uow(), caller().subject, email=body.get("email"), push=body.get("push"))


@profile.route("/<uuid:user_id>/preferences")
@profile.response(200, PreferencesView)
def preferences_of(user_id: UUID) -> Wishes:
    """Return the preferences of a user, to services and admins."""
    if user_id != caller().subject:
        require(caller(), may_look_up_users)
    return parts().preferences.of(user_id, uow)


def shown(user: User) -> dict[str, Any]:
    """Return what a profile shows."""
    plain = {name: getattr(user, name, None) for name in SHOWN}
    wishes = parts().preferences.of(user.id, uow)
    return plain | {"registered_at": user.registered_at, "preferences": wishes}
