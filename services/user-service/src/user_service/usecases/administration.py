"""What admins change about other people."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from user_service.messaging import publications
from user_service.model.actor import Actor
from user_service.model.email import normalised_email
from user_service.model.errors import AlreadyPurged, LastAdmin
from user_service.model.one_time_token import OneTimeTokenLifetimes
from user_service.model.user import Role, Status, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import registration
from user_service.usecases.notifying import notify


def change(
    uow: UnitOfWork,
    user_id: UUID,
    actor: Actor,
    changes: dict[str, Any],
    *,
    tokens_live: timedelta,
    lifetimes: OneTimeTokenLifetimes,
) -> User:
    """Change names, e-mail address or role of a user; another role ends the sessions, whose tokens name the old one.

    Of another address both the old one and the new one are told, which is asked to confirm itself.

    Raises UserNotFound, AlreadyPurged, InvalidEmail, EmailTaken, InvalidUsername, UsernameTaken, LastAdmin.
    """
    role = Role(changes["role"]) if "role" in changes else None
    if role is not None and role is not Role.ADMIN and uow.users.active_admins() == [user_id]:
        raise LastAdmin
    user = uow.users.locked(user_id)
    if user.status == Status.PURGED:
        raise AlreadyPurged
    before = user.version
    if "name" in changes and user.rename(changes["name"]):
        uow.record(str(actor.user_id), "user_renamed", user)
    if "username" in changes:
        _call(uow, user, changes["username"], actor)
    if "email" in changes:
        _readdress(uow, user, normalised_email(changes["email"]), actor, lifetimes)
    if role is not None and role != user.role:
        _give_role(uow, user, role, actor, tokens_live)
    if user.version != before:
        uow.publish(publications.user_updated(user))
    return user


def _call(uow: UnitOfWork, user: User, username: str | None, actor: Actor) -> None:
    if uow.users.call(user, username):
        uow.record(str(actor.user_id), "username_changed", user)


def _readdress(uow: UnitOfWork, user: User, email: str, actor: Actor, lifetimes: OneTimeTokenLifetimes) -> None:
    if email == user.email:
        return
    old = user.email
    uow.users.readdress(user, email)
    # Tokens that went to the old address speak for it no longer.
    uow.one_time_tokens.drop(user.id)
    uow.record(str(actor.user_id), "user_email_changed", user)
    notify(uow, user, "email_changed", {"email": email}, to=old)
    registration.ask_to_verify(uow, user, lifetimes)


def _give_role(uow: UnitOfWork, user: User, role: Role, actor: Actor, tokens_live: timedelta) -> None:
    uow.record(str(actor.user_id), "user_role_changed", user, f"{user.role} to {role}")
    user.give_role(role)
    uow.sessions.end_all([user.id], reason="role_changed", at=uow.now, tokens_live=tokens_live)
