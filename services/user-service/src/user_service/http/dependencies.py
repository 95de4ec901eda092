"""What views reach for, typed."""

from typing import cast

from service_chassis import http
from service_chassis.tokens import Principal
from user_service.model.actor import Actor
from user_service.model.user import Role
from user_service.parts import Parts
from user_service.persistence.unit_of_work import UnitOfWork


def uow() -> UnitOfWork:
    return cast("UnitOfWork", http.uow())


def parts() -> Parts:
    return cast("Parts", http.parts())


def role_of(caller: Principal) -> Role:
    return Role(caller.role or Role.USER)


def actor() -> Actor:
    """Return who calls, as rules know them."""
    return Actor(http.caller().subject, role_of(http.caller()))


def may_manage_users(caller: Principal) -> bool:
    return caller.role == Role.ADMIN


def may_reactivate_users(caller: Principal) -> bool:
    return caller.role in {Role.ADMIN, Role.MANAGER}


def may_give_roles(caller: Principal) -> bool:
    return caller.role == Role.ADMIN


def may_look_up_users(caller: Principal) -> bool:
    """Services ask for whom they send something to."""
    return caller.role == Role.ADMIN or caller.kind == "service"


def may_find_assignees(caller: Principal) -> bool:
    """Managers look up users of role user, to whom they give tasks and whom they switch on again."""
    return caller.role == Role.MANAGER


def is_service(caller: Principal) -> bool:
    return caller.kind == "service"


def may_notify_others(caller: Principal) -> bool:
    return caller.role in {Role.ADMIN, Role.MANAGER} or caller.kind == "service"


def may_report_deliveries(caller: Principal) -> bool:
    return caller.role == Role.ADMIN or caller.kind == "service"
