"""Permissions are named questions about the caller, asked at the edge: `require(caller, may_manage_users)`."""

from typing import Protocol

from service_chassis.errors import Forbidden
from service_chassis.tokens import Principal


class Permission(Protocol):
    """A function that says whether the caller may do what its name says."""

    __name__: str

    def __call__(self, caller: Principal, /) -> bool: ...


def require(caller: Principal, permission: Permission) -> None:
    """Raise Forbidden, naming the permission, unless the caller has it."""
    if not permission(caller):
        raise Forbidden(f"This needs the permission {permission.__name__}.")
