"""Transactions that need the same accounts and users take them in one order, so that one waits and none fails."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from event_contracts import DeactivationRequested, PurgeRequested, TaskMissLimitReached
from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Event, Outgoing, decoded, encoded, received
from service_chassis.service import Service
from service_chassis.testing.plugin import only_postgresql
from service_chassis.testing.waiting import wait_until
from user_service.model.actor import Actor
from user_service.model.membership import AccountRole
from user_service.model.one_time_token import Purpose
from user_service.model.recovery import RecoveryKind
from user_service.model.user import Reason, Role, User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import administration, cleanup, erasure, lifecycle, members, missed_tasks, recovery
from user_service.usecases.members import Named
from user_service.usecases.throttling import Attempt

pytestmark = only_postgresql
HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)
Work = Callable[[UnitOfWork], object]


@pytest.fixture
def beside(service: Service, blocked: Callable[[], bool]) -> Iterator[Callable[[Work], Future[Any]]]:
    """Begins something in a transaction of its own, and returns as soon as that waits for the test's."""
    with ThreadPoolExecutor() as pool:

        def done(work: Work) -> object:
            with service.units.write() as uow:
                return work(uow)

        def beside(work: Work) -> Future[Any]:
            outcome = pool.submit(done, work)
            wait_until(blocked)
            return outcome

        yield beside


@pytest.fixture
def olga(new_user: Callable[..., User]) -> User:
    return new_user("olga", Role.ADMIN)


@pytest.fixture
def asked(clock: ManualClock) -> Callable[[Any], Event]:
    """Returns an event as a handler gets it."""

    def asked(event: Any) -> Event:
        message = encoded(Outgoing(event), clock.now())
        (envelope,) = decoded(message.content_type, message.body.encode())
        return received(envelope, type(event))

    return asked


def deactivation_of(user: User, clock: ManualClock) -> DeactivationRequested:
    now = clock.now()
    return DeactivationRequested(user_id=user.id, run_id=uuid7(), cutoff=now, exempt_roles=(), requested_at=now)


def account_of(service: Service, user: User) -> int:
    with service.units.read() as uow:
        return uow.accounts.memberships_of(user.id)[0].account_id  # type: ignore[no-any-return]


def test_a_purge_that_cleanup_asks_for_waits_for_who_has_the_account(
    service: Service,
    anna: User,
    clock: ManualClock,
    asked: Callable[[Any], Event],
    beside: Callable[[Work], Future[Any]],
) -> None:
    with service.units.write() as uow:
        lifecycle.deactivate(uow, anna.id, "", by=anna.id, tokens_live=HOUR, reason=Reason.INACTIVITY)
    account = account_of(service, anna)
    clock.advance(MONTH)
    request = asked(PurgeRequested(user_id=anna.id, run_id=uuid7(), deactivated_before=clock.now()))

    with service.units.write() as uow:
        uow.accounts.locked(account)
        purging = beside(lambda other: erasure.purge_as_requested(other, request, tokens_live=HOUR))
        uow.users.locked(anna.id)
    purging.result(10)

    with service.units.read() as uow:
        assert uow.users.get(anna.id).status == "purged"


def test_an_account_that_somebody_else_is_changing_is_left_after_that(
    service: Service, anna: User, new_user: Callable[..., User], beside: Callable[[Work], Future[Any]]
) -> None:
    bert, account = new_user("bert"), account_of(service, anna)
    by = Actor(anna.id, Role.USER)
    with service.units.write() as uow:
        members.add(uow, account, by, Named(user_id=bert.id), AccountRole.NORMAL)

    with service.units.write() as uow:
        uow.accounts.locked(account)
        purging = beside(lambda other: erasure.purge(other, bert.id, "", by="", tokens_live=HOUR))
        members.change_role(uow, account, by, bert.id, AccountRole.ADMIN)
    purging.result(10)

    with service.units.read() as uow:
        membership = uow.accounts.membership(account, bert.id)
        assert (membership.is_live, membership.version) == (False, 3)


def test_an_admin_is_switched_off_by_hand_and_by_cleanup_at_once(
    service: Service,
    olga: User,
    *,
    clock: ManualClock,
    asked: Callable[[Any], Event],
    beside: Callable[[Work], Future[Any]],
) -> None:
    clock.advance(HOUR)
    request, account = asked(deactivation_of(olga, clock)), account_of(service, olga)

    with service.units.write() as uow:
        uow.accounts.locked(account)
        beginning = beside(lambda other: lifecycle.deactivate(other, olga.id, "", by=olga.id, tokens_live=HOUR))
        cleanup.apply_deactivations(uow, [request], tokens_live=HOUR)

    assert type(beginning.exception(10)).__name__ == "AlreadyDeactivated"


def test_cleanup_waits_for_who_gives_a_role(
    service: Service,
    anna: User,
    olga: User,
    *,
    clock: ManualClock,
    asked: Callable[[Any], Event],
    beside: Callable[[Work], Future[Any]],
) -> None:
    clock.advance(HOUR)
    requests = [asked(deactivation_of(user, clock)) for user in (anna, olga)]
    by = Actor(olga.id, Role.ADMIN)

    with service.units.write() as uow:
        uow.users.active_admins()
        applying = beside(lambda other: cleanup.apply_deactivations(other, requests, tokens_live=HOUR))
        administration.change(
            uow, anna.id, by, {"role": "manager"}, tokens_live=HOUR, lifetimes=service.parts.settings.one_time_tokens
        )
    applying.result(10)

    with service.units.read() as uow:
        assert [uow.users.get(user.id).status for user in (anna, olga)] == ["deactivated"] * 2


def test_an_admin_who_missed_tasks_is_looked_at_while_another_is_switched_off(
    service: Service,
    olga: User,
    new_user: Callable[..., User],
    *,
    clock: ManualClock,
    asked: Callable[[Any], Event],
    beside: Callable[[Work], Future[Any]],
) -> None:
    other_admin, account, now = new_user("otto", Role.ADMIN), account_of(service, olga), clock.now()
    with service.units.write() as uow:
        by = Actor(olga.id, Role.USER)
        members.add(uow, account, by, Named(user_id=other_admin.id), AccountRole.ADMIN)
    limit = asked(
        TaskMissLimitReached(limit_id=uuid7(), user_id=olga.id, missed=5, counted_from=now - HOUR, reached_at=now)
    )

    with service.units.write() as uow:
        uow.accounts.locked(account)
        beginning = beside(lambda other: lifecycle.deactivate(other, other_admin.id, "", by=olga.id, tokens_live=HOUR))
        missed_tasks.deactivate(uow, limit, tokens_live=HOUR)

    assert beginning.result(10).id == other_admin.id


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_token_is_used_after_whoever_takes_it_back(
    service: Service, anna: User, beside: Callable[[Work], Future[Any]], purpose: Purpose
) -> None:
    with service.units.write() as uow:
        token = uow.one_time_tokens.issue(anna.id, purpose, anna.email, at=uow.now, lifetime=HOUR)
    credentials = service.parts.credentials
    use: dict[Purpose, Work] = {
        Purpose.VERIFY_EMAIL: lambda other: recovery.verify_email(other, token, tokens_live=HOUR),
        Purpose.RESET_PASSWORD: lambda _: credentials.reset_password(token, "battery staple"),
        Purpose.CHANGE_EMAIL: lambda other: credentials.confirm_email_change(other, token),
        Purpose.UNDO_EMAIL_CHANGE: lambda other: credentials.undo_email_change(other, token),
    }

    with service.units.write() as uow:
        uow.users.locked(anna.id)
        using = beside(use[purpose])
        uow.one_time_tokens.drop(anna.id)

    assert type(using.exception(10)).__name__ == "InvalidOneTimeToken"


def test_a_token_is_issued_after_whoever_takes_the_last_one_back(
    service: Service, anna: User, clock: ManualClock, beside: Callable[[Work], Future[Any]]
) -> None:
    lifetimes = service.parts.settings.one_time_tokens
    with service.units.write() as uow:
        uow.one_time_tokens.issue(anna.id, Purpose.RESET_PASSWORD, anna.email, at=uow.now, lifetime=HOUR)
        recovery.request(uow, RecoveryKind.PASSWORD_RESET, anna.email, Attempt({}, frozenset()))
    clock.advance(recovery.PAUSE)

    with service.units.write() as uow:
        uow.users.locked(anna.id)
        deciding = beside(lambda other: recovery.decide(other, lifetimes))
        uow.one_time_tokens.drop(anna.id)

    assert deciding.result(10) is False
