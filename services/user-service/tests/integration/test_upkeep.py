"""What nobody needs any more is deleted in bounded pieces, each found by an index."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select

from service_chassis.clock import ManualClock
from service_chassis.database import statements
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.actor import Actor
from user_service.model.invitation import Invitation
from user_service.model.membership import AccountRole
from user_service.model.notification import Channel, Notification
from user_service.model.one_time_token import OneTimeToken, Purpose
from user_service.model.session import Revocation, Session
from user_service.model.tables import Entity
from user_service.model.throttle import ACCOUNT, Throttle
from user_service.model.user import Role, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import invitations, notifications, recovery, revocations, throttling
from user_service.usecases.notifications import Wanted
from user_service.usecases.throttling import Attempt

HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)
MANY = 5
JOBS: dict[Callable[[UnitOfWork], bool], list[type[Entity]]] = {
    invitations.forget: [Invitation],
    notifications.forget: [Notification],
    recovery.forget: [OneTimeToken],
    revocations.forget: [Session, Revocation],
    throttling.forget: [Throttle],
}


@pytest.fixture(autouse=True)
def _many_old_rows(service: Service, new_user: Callable[..., User], clock: ManualClock) -> None:
    anna = new_user("anna")
    with service.units.write() as uow:
        account = uow.accounts.memberships_of(anna.id)[0].account_id
        for number in range(MANY):
            email = f"{number}@example.com"
            invitations.invite(uow, account, Actor(anna.id, Role.USER), email, AccountRole.NORMAL)
            notifications.request(uow, Wanted(Channel.EMAIL, anna.id, "welcome", {}))
            uow.one_time_tokens.issue(anna.id, Purpose.UNDO_EMAIL_CHANGE, email, at=uow.now, lifetime=HOUR)
            uow.sessions.add(Session.start(anna.id, at=uow.now, lifetime=HOUR))
        throttling.failed(uow, Attempt({str(number): ACCOUNT for number in range(MANY)}, frozenset()))
    with service.units.write() as uow:
        uow.sessions.end_all([anna.id], reason="logout", at=uow.now, tokens_live=HOUR)
    clock.advance(YEAR)


@pytest.mark.parametrize(("job", "kept_in"), JOBS.items(), ids=[job.__module__ for job in JOBS])
def test_a_job_deletes_a_piece_and_says_whether_there_is_more(
    service: Service, monkeypatch: pytest.MonkeyPatch, job: Callable[[UnitOfWork], bool], kept_in: list[type[Entity]]
) -> None:
    monkeypatch.setattr(statements, "DELETED_AT_ONCE", 2)
    before = {rows(service, entity) for entity in kept_in}
    assert min(before) >= MANY

    answers = []
    while not answers or answers[-1]:
        with service.units.write() as uow:
            answers.append(job(uow))

    assert answers == [True] * (max(before) // 2) + [False]
    assert {rows(service, entity) for entity in kept_in} == {0}


@only_sqlite
@pytest.mark.parametrize("job", JOBS, ids=[job.__module__ for job in JOBS])
def test_a_job_reads_no_table_from_end_to_end(service: Service, job: Callable[[UnitOfWork], bool]) -> None:
    deletions: list[tuple[str, Any]] = []
    event.listen(service.database.engine, "before_cursor_execute", lambda *args: deletions.append((args[2], args[3])))
    with service.units.write() as uow:
        job(uow)

    with service.units.read() as uow:
        plans = [
            uow.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            for statement, values in list(deletions)
            if statement.startswith("DELETE")
        ]
    assert len(plans) >= 1
    assert [step for plan in plans for step in plan if "SCAN" in step.detail] == []


def rows(service: Service, entity: type[Entity]) -> int:
    with service.units.read() as uow:
        return uow.session.scalar(select(func.count()).select_from(entity)) or 0
