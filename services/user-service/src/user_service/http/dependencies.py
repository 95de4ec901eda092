"""What views reach for, typed."""

from typing import cast

from service_chassis import http
from service_chassis.tokens import Principal
from user_service.model.user import Role
from user_service.parts import Parts
from user_service.persistence.unit_of_work import UnitOfWork


def uow() -> UnitOfWork:
    return cast("UnitOfWork", http.uow())


def parts() -> Parts:
    return cast("Parts", http.parts())


def role_of(caller: Principal) -> Role:
    return Role(caller.role or Role.USER)


def may_manage_users(caller: Principal) -> bool:
    return caller.role == Role.ADMIN


def may_reactivate_users(caller: Principal) -> bool:
    return caller.role in {Role.ADMIN, Role.MANAGER}
