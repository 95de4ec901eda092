"""What views reach for, typed."""

from typing import cast

from service_chassis import http
from service_chassis.tokens import Principal
from user_service.model.actor import Actor
from user_service.model.service_client import Scope
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
    return caller.role == Role.ADMIN or Scope.READ_USERS in caller.scopes


def may_find_assignees(caller: Principal) -> bool:
    """Managers look up users of role user, to whom they give tasks and whom they switch on again."""
    return caller.role == Role.MANAGER


def may_look_up_states(caller: Principal) -> bool:
    """Services ask before they refuse somebody because of what they hold of users themselves."""
    return Scope.LOOK_UP_STATES in caller.scopes


def may_look_up_accounts(caller: Principal) -> bool:
    return Scope.LOOK_UP_ACCOUNTS in caller.scopes


def may_notify_others(caller: Principal) -> bool:
    return caller.role in {Role.ADMIN, Role.MANAGER} or Scope.NOTIFY in caller.scopes


def may_report_deliveries(caller: Principal) -> bool:
    return caller.role == Role.ADMIN or Scope.REPORT_DELIVERIES in caller.scopes
