"""What views reach for, typed."""

from collections.abc import Collection, Sequence
from typing import cast
from uuid import UUID

from service_chassis import http
from service_chassis.tokens import Principal
from task_service.model.actor import Actor
from task_service.model.rules import MissRules
from task_service.parts import Parts
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases.directory import OwnersAnswer


def uow() -> UnitOfWork:
    return cast("UnitOfWork", http.uow())


def rules() -> MissRules:
    return _parts().settings.rules


def actor() -> Actor:
    caller = http.caller()
    return Actor(caller.subject, may_manage_tasks(caller))


def newer_states(user_ids: Collection[UUID]) -> Sequence[OwnersAnswer]:
    """Return what user-service knows better; asked before the request's transaction begins."""
    return _parts().directory.newer(http.short_read, user_ids)


def may_manage_tasks(caller: Principal) -> bool:
    return caller.role in {"admin", "manager"}


def may_see_alerts(caller: Principal) -> bool:
    return caller.role in {"admin", "manager"}


def may_decide_consequences(caller: Principal) -> bool:
    return caller.role in {"admin", "manager"}


def _parts() -> Parts:
    return cast("Parts", http.parts())
