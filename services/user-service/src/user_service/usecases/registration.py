"""New users."""

from datetime import timedelta

from user_service.messaging import publications
from user_service.model.email import normalised_email
from user_service.model.errors import EmailTakenAndCounted
from user_service.model.one_time_token import OneTimeTokenLifetimes, Purpose
from user_service.model.recovery import RecoveryKind
from user_service.model.user import Role, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import accounts, throttling
from user_service.usecases.notifying import notify
from user_service.usecases.throttling import Attempt


def register(
    uow: UnitOfWork,
    email: str,
    name: str,
    password_hash: str | None,
    *,
    role: Role = Role.USER,
    by: str = "self",
    username: str | None = None,
) -> User:
    """Add a user, with an account of which the user is Admin, and tell of both.

    Raises InvalidEmail, EmailTaken, InvalidUsername, UsernameTaken.
    """
    user = uow.users.add(User.register(email, name, role, password_hash, at=uow.now, username=username))
    uow.record(by, "user_registered", user)
    uow.publish(publications.user_registered(user))
    accounts.open_home(uow, user, by=by)
    return user


def sign_up(
    uow: UnitOfWork,
    email: str,
    name: str,
    password_hash: str,
    *,
    lifetimes: OneTimeTokenLifetimes,
    preferences: dict[str, bool] | None = None,
    push_token: str | None = None,
) -> User:
    """Register somebody whose address nobody vouches for, and ask them to confirm it.

    Raises InvalidEmail, EmailTaken.
    """
    user = register(uow, email, name, password_hash)
    user.is_unproven = True
    equip(uow, user, preferences, push_token)
    ask_to_verify(uow, user, lifetimes)
    return user


def add(
    uow: UnitOfWork,
    email: str,
    name: str,
    *,
    preferences: dict[str, bool] | None = None,
    push_token: str | None = None,
    role: Role = Role.USER,
    by: str,
    username: str | None = None,
    password_hash: str | None = None,
) -> User:
    """Register somebody in their absence; who is given no password is sent what it takes to set one.

    Raises InvalidEmail, EmailTaken, InvalidUsername, UsernameTaken.
    """
    user = register(uow, email, name, password_hash, role=role, by=by, username=username)
    equip(uow, user, preferences, push_token)
    if password_hash is None:
        uow.recovery_requests.add(RecoveryKind.PASSWORD_RESET, user.email, {}, uow.correlation_id, at=uow.now)
    return user


def equip(uow: UnitOfWork, user: User, preferences: dict[str, bool] | None, push_token: str | None) -> None:
    """Note what a new user has said about notifications."""
    user.push_token = push_token or None
    if preferences:
        uow.preferences.to_change(user.id).change(email=preferences.get("email"), push=preferences.get("push"))


def check_not_taken(uow: UnitOfWork, email: str, attempt: Attempt) -> None:
    """Refuse an address somebody has; asking for many is slowed down. Raises InvalidEmail, TooManyAttempts."""
    throttling.check(uow, attempt)
    if uow.users.by_email(normalised_email(email)) is not None:
        throttling.failed(uow, attempt)
        raise EmailTakenAndCounted


def ask_to_verify(
    uow: UnitOfWork, user: User, lifetimes: OneTimeTokenLifetimes, *, pause: timedelta = timedelta(0)
) -> None:
    """Send a token that proves the address, unless the last one went out less than `pause` ago."""
    tokens = uow.one_time_tokens
    if pause and tokens.issued_since(user.id, Purpose.VERIFY_EMAIL, uow.now - pause):
        return
    lifetime = lifetimes.verify_email
    token = tokens.issue(user.id, Purpose.VERIFY_EMAIL, user.email, at=uow.now, lifetime=lifetime)
    notify(uow, user, "verify_email", {"hours": str(lifetime // timedelta(hours=1))}, secrets={"token": token})
