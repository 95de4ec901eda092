"""What views reach for, typed."""

from typing import cast

from cleanup_service.model.policy import Policy
from cleanup_service.parts import Parts
from cleanup_service.persistence.unit_of_work import UnitOfWork
from service_chassis import http
from service_chassis.tokens import Principal


def uow() -> UnitOfWork:
    return cast("UnitOfWork", http.uow())


def policy() -> Policy:
    return cast("Parts", http.parts()).settings.policy


def may_run_cleanups(caller: Principal) -> bool:
    return caller.role == "admin"


def may_read_reports(caller: Principal) -> bool:
    return caller.role in {"admin", "manager"}
