"""New users."""

from user_service.messaging import publications
from user_service.model.errors import WeakPassword
from user_service.model.user import Role, User
from user_service.persistence.unit_of_work import UnitOfWork


def register(
    uow: UnitOfWork, email: str, name: str, password_hash: str | None, *, role: Role = Role.USER, by: str = "self"
) -> User:
    """Add a user and tell of it.

    Raises InvalidEmail, EmailTaken.
    """
    user = uow.users.add(User.register(email, name, role, password_hash, at=uow.now))
    uow.record(by, "user_registered", user)
    uow.publish(publications.user_registered(user))
    return user


def checked_password(password: str, *, minimum: int) -> str:
    """Return the password if it is long enough. Raises WeakPassword."""
    if len(password) < minimum:
        raise WeakPassword(f"A password has at least {minimum} characters.", fields={"password": ["Too short."]})
    return password
