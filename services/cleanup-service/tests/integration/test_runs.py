"""A run from its trigger to its report, step by step as the scheduler takes them."""

import io
import json
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from cleanup_service import jobs
from cleanup_service.messaging.subscriptions import subscriptions
from cleanup_service.model.errors import NotAwaitingApproval, RunInProgress
from cleanup_service.model.policy import Policy, SafetyBreaker
from cleanup_service.model.run import Member, Run, RunStatus, Trigger
from cleanup_service.persistence.unit_of_work import UnitOfWork
from cleanup_service.usecases import runs
from event_contracts import (
    Contract,
    DeactivationRequested,
    RunCompleted,
    UserActivityRecorded,
    UserDeactivated,
    UserPurged,
)
from service_chassis import correlation
from service_chassis.clock import ManualClock
from service_chassis.correlation import Correlation
from service_chassis.ids import uuid7
from service_chassis.logs import make_log
from service_chassis.messaging import outbox
from service_chassis.messaging.envelope import Event, Outgoing, decoded, encoded, received
from service_chassis.testing.plugin import only_postgresql, only_sqlite
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import Units

Published = Callable[[type[Contract]], list[Event]]
Hear = Callable[[Sequence[Outgoing]], None]
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Cleanup:
    """Runs, moved by a test: the hands of the clock, the scheduler's steps, and what user-service has told."""

    def __init__(self, units: Units[UnitOfWork], policy: Policy, clock: ManualClock, user_service: Any) -> None:
        self.units = units
        self.policy = policy
        self.clock = clock
        self.user_service = user_service

    def starts(self, **options: Any) -> UUID:
        """Trigger a run, which waits to be planned."""
        with self.units.write() as uow:
            return runs.start(uow, self.policy, Trigger.MANUAL, **options).id

    def step(self) -> bool:
        """Do what the scheduler does every half second."""
        with self.units.write() as uow:
            return runs.advance(uow, self.policy)

    def goes_on(self) -> None:
        """Take steps until there is something to wait for."""
        while self.step():
            pass

    def plans(self) -> None:
        """Let user-service say that everything up to now has been told, and go on."""
        self.clock.advance(SECOND)
        self.user_service.says_where_it_is()
        self.goes_on()

    def run(self, run_id: UUID) -> Run:
        with self.units.read() as uow:
            return uow.runs.get(run_id)

    def counts(self, run_id: UUID) -> tuple[str, int, int, int, int]:
        """Return status, candidates, deactivated, refused and failed as the report has them."""
        run = self.run(run_id)
        return run.status, run.candidates, run.deactivated, run.refused, run.failed

    def members(self) -> dict[UUID, tuple[str | None, str | None]]:
        """Return outcome and reason of everybody in a plan."""
        with self.units.read() as uow:
            return {m.user_id: (m.outcome, m.reason) for m in uow.session.scalars(select(Member))}


@pytest.fixture
def cleanup(units: Units[UnitOfWork], policy: Policy, clock: ManualClock, user_service: Any) -> Cleanup:
    return Cleanup(units, policy, clock, user_service)


def test_a_run_ends_with_a_report_that_reconciles(cleanup: Cleanup, user_service: Any, published: Published) -> None:
    """S0-06, S1-07."""
    inactive = user_service.has(days_inactive=40, count=5)
    user_service.has(days_inactive=1, count=3)
    run_id = cleanup.starts()
    cleanup.plans()

    user_service.answers({inactive[0]: "active_since_plan", inactive[1]: "last_admin"})
    cleanup.goes_on()

    assert cleanup.counts(run_id) == ("completed", 5, 3, 2, 0)
    assert cleanup.run(run_id).active_users_remaining == 5
    with cleanup.units.read() as uow:
        assert uow.runs.latest_report().id == run_id
        assert uow.runs.reasons(uow.runs.get(run_id)) == {"active_since_plan": 1, "last_admin": 1}
    (event,) = published(RunCompleted)
    assert (event.data.run_id, event.data.report_id, event.data.status) == (run_id, 1, "completed")
    assert event.data.candidates == event.data.deactivated + event.data.refused + event.data.failed == 5


def test_nothing_is_planned_before_user_service_has_told_everything_up_to_the_start(
    cleanup: Cleanup, user_service: Any
) -> None:
    user_service.has(days_inactive=40)
    run_id = cleanup.starts()
    assert not cleanup.step()
    user_service.says_where_it_is()
    assert not cleanup.step()
    assert cleanup.run(run_id).status == RunStatus.PLANNED

    cleanup.clock.advance(SECOND)
    user_service.says_where_it_is()

    assert cleanup.step()
    assert cleanup.run(run_id).candidates == 1


def test_the_plan_holds_who_was_last_seen_before_the_cutoff_and_is_not_exempt(
    cleanup: Cleanup, user_service: Any, hear: Hear
) -> None:
    """S0-05."""
    user_service.has(days_inactive=30)
    older = user_service.has(days_inactive=30 + 1e-9)
    manager = user_service.has(days_inactive=31, role="manager")
    user_service.has(days_inactive=31, role="admin")
    user_service.has(days_inactive=31, status="deactivated")
    (purged,) = user_service.has(days_inactive=31)
    month_ago = cleanup.clock.now() - timedelta(days=31)
    hear([Outgoing(UserPurged(user_id=purged, purged_at=month_ago), version=9)])
    hear([Outgoing(UserActivityRecorded(user_id=uuid7(), at=month_ago, signal="sign_in"))])

    cleanup.starts()
    cleanup.plans()

    assert cleanup.members().keys() == {*older, *manager}


def test_the_plan_keeps_its_evidence_and_does_not_change(cleanup: Cleanup, user_service: Any, hear: Hear) -> None:
    (anna,) = user_service.has(days_inactive=40)
    seen = cleanup.clock.now()
    cleanup.starts()
    cleanup.plans()

    user_service.has(days_inactive=50)
    hear([Outgoing(UserActivityRecorded(user_id=anna, at=seen, signal="sign_in"))])
    cleanup.plans()

    with cleanup.units.read() as uow:
        (member,) = uow.session.scalars(select(Member))
    assert (member.user_id, member.last_activity_at) == (anna, seen - timedelta(days=40))


def test_a_run_by_another_threshold_plans_by_that(cleanup: Cleanup, user_service: Any) -> None:
    user_service.has(days_inactive=40)
    (gone,) = user_service.has(days_inactive=100)
    cleanup.policy = cleanup.policy.with_threshold(timedelta(days=90))

    cleanup.starts()
    cleanup.plans()

    assert cleanup.members().keys() == {gone}


def test_user_service_is_asked_about_everybody_once_and_in_batches(
    cleanup: Cleanup, user_service: Any, published: Published
) -> None:
    users = user_service.has(days_inactive=40, count=runs.ASK_AT_ONCE + 100)
    with correlation.correlated(Correlation("ticket-7")):
        run = cleanup.run(cleanup.starts())

    cleanup.plans()

    requests = published(DeactivationRequested)
    assert sorted(request.data.user_id for request in requests) == sorted(users)
    for request in requests:
        assert (request.data.run_id, request.data.cutoff, request.data.exempt_roles) == (run.id, run.cutoff, ("admin",))
        assert request.correlation_id == "ticket-7"
    with cleanup.units.read() as uow:
        assert max(message.events for _, message in outbox.pending(uow.session, 1000)) <= 500


def test_a_run_without_candidates_has_a_report_too(cleanup: Cleanup, user_service: Any, published: Published) -> None:
    user_service.has(days_inactive=1, count=2)

    run_id = cleanup.starts()
    cleanup.plans()

    assert cleanup.counts(run_id) == ("completed", 0, 0, 0, 0)
    assert cleanup.run(run_id).active_users_remaining == 2
    assert published(DeactivationRequested) == []
    assert len(published(RunCompleted)) == 1


class Killed(BaseException):
    """The process ends here, as far as the code under test can tell."""


class Mortal(Cleanup):
    """Dies in every step before its commit, and takes it once more after the restart."""

    def step(self) -> bool:
        with pytest.raises(Killed):
            self._step_and_die()
        return super().step()

    def _step_and_die(self) -> None:
        with self.units.write() as uow:
            runs.advance(uow, self.policy)
            uow.session.flush()
            raise Killed


def test_a_process_that_dies_in_the_middle_of_a_step_finishes_the_run_after_its_restart(
    cleanup: Cleanup, user_service: Any, published: Published
) -> None:
    mortal = Mortal(cleanup.units, cleanup.policy, cleanup.clock, user_service)
    users = user_service.has(days_inactive=40, count=runs.ASK_AT_ONCE + 100)
    run_id = mortal.starts()
    mortal.plans()
    user_service.answers({users[0]: "active_since_plan"})
    mortal.goes_on()

    assert mortal.counts(run_id) == ("completed", len(users), len(users) - 1, 1, 0)
    assert len(published(DeactivationRequested)) == len(users)
    assert len(published(RunCompleted)) == 1


def test_a_step_with_nothing_to_do_does_nothing(cleanup: Cleanup, user_service: Any) -> None:
    user_service.has(days_inactive=40)
    run_id = cleanup.starts()
    cleanup.plans()
    with cleanup.units.read() as uow:
        before = outbox.backlog(uow.session)

    assert [cleanup.step() for _ in range(3)] == [False, False, False]

    with cleanup.units.read() as uow:
        assert outbox.backlog(uow.session) == before
    assert cleanup.run(run_id).status == RunStatus.RUNNING


def test_one_run_is_open_at_a_time(cleanup: Cleanup) -> None:
    first = cleanup.run(cleanup.starts())
    with pytest.raises(RunInProgress):
        cleanup.starts()
    cleanup.plans()

    second = cleanup.run(cleanup.starts())

    assert second.number > first.number


def test_of_many_triggers_at_once_one_wins(cleanup: Cleanup) -> None:
    together = threading.Barrier(8)
    outcomes: list[str] = []

    def trigger() -> None:
        together.wait(10)
        try:
            cleanup.starts()
            outcomes.append("started")
        except RunInProgress as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=trigger) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(outcomes) == ["run_in_progress"] * 7 + ["started"]


class Schedule:
    """The scheduler of a worker that started at noon and looks every now and then whether a run is due."""

    def __init__(self, cleanup: Cleanup) -> None:
        self._cleanup = cleanup
        self._since = cleanup.clock.now()

    def restarts(self) -> None:
        self._since = self._cleanup.clock.now()

    def after(self, wait: timedelta) -> list[str]:
        """Wait, look, finish what is open, and return the triggers of all runs there were."""
        self._cleanup.clock.advance(wait)
        with self._cleanup.units.write() as uow:
            runs.start_when_due(uow, self._cleanup.policy, HOUR, self._since)
        with self._cleanup.units.write() as uow:
            run = uow.runs.open_run()
            if run is not None:
                run.complete({}, 0, at=uow.now)
            return list(uow.session.scalars(select(Run.trigger).order_by(Run.number)))


@pytest.fixture
def schedule(cleanup: Cleanup) -> Schedule:
    return Schedule(cleanup)


def test_a_run_is_due_an_interval_after_the_worker_started_and_then_after_the_last_run(schedule: Schedule) -> None:
    """S0-03, S0-13."""
    assert schedule.after(HOUR - SECOND) == []
    assert schedule.after(SECOND) == ["schedule"]
    assert schedule.after(HOUR - SECOND) == ["schedule"]
    assert schedule.after(SECOND) == ["schedule", "schedule"]


def test_a_run_by_hand_counts_for_the_schedule(schedule: Schedule, cleanup: Cleanup) -> None:
    schedule.after(30 * MINUTE)
    cleanup.starts()

    assert schedule.after(SECOND) == schedule.after(HOUR - 2 * SECOND) == ["manual"]
    assert schedule.after(SECOND) == ["manual", "schedule"]


def test_no_run_is_scheduled_while_one_is_open(schedule: Schedule, cleanup: Cleanup) -> None:
    cleanup.starts()

    assert schedule.after(2 * HOUR) == ["manual"]


def test_a_worker_that_restarts_more_often_than_runs_are_due_keeps_to_the_schedule(schedule: Schedule) -> None:
    assert schedule.after(HOUR) == ["schedule"]
    schedule.after(40 * MINUTE)

    schedule.restarts()

    assert schedule.after(20 * MINUTE) == ["schedule", "schedule"]


@pytest.mark.parametrize(
    ("breaker", "options", "objection"),
    [
        (SafetyBreaker(users=2, percent=None), {}, "3 users, more than 2."),
        (SafetyBreaker(users=None, percent=20), {}, "3 of 4 active users, more than 20 %."),
        (SafetyBreaker(users=None, percent=None), {"expect_up_to": 2}, "3 users, more than the 2 expected."),
    ],
    ids=["users", "percent", "expected"],
)
def test_a_plan_larger_than_allowed_waits_for_approval(
    larger_than_allowed: Cleanup, options: dict[str, int], objection: str, published: Published
) -> None:
    cleanup = larger_than_allowed
    run_id = cleanup.starts(**options)
    cleanup.plans()
    assert (cleanup.run(run_id).status, cleanup.run(run_id).objection) == ("awaiting_approval", objection)
    assert published(DeactivationRequested) == []
    with pytest.raises(RunInProgress):
        cleanup.starts()

    with cleanup.units.write() as uow:
        runs.approve(uow, run_id)
    cleanup.goes_on()
    cleanup.user_service.answers()
    cleanup.goes_on()

    assert cleanup.counts(run_id) == ("completed", 3, 3, 0, 0)


@pytest.fixture
def larger_than_allowed(cleanup: Cleanup, policy: Policy, breaker: SafetyBreaker, user_service: Any) -> Cleanup:
    user_service.has(days_inactive=40, count=3)
    user_service.has(days_inactive=1)
    cleanup.policy = Policy(policy.threshold, policy.exempt_roles, breaker)
    return cleanup


def test_who_expects_as_many_as_there_are_needs_no_approval(cleanup: Cleanup, user_service: Any) -> None:
    user_service.has(days_inactive=40, count=3)
    cleanup.policy = Policy(cleanup.policy.threshold, (), SafetyBreaker(users=1, percent=1))

    run_id = cleanup.starts(expect_up_to=3)
    cleanup.plans()

    assert cleanup.run(run_id).status == RunStatus.RUNNING
    with pytest.raises(NotAwaitingApproval), cleanup.units.write() as uow:
        runs.approve(uow, run_id)


def test_a_silent_member_is_asked_once_more_and_then_given_up(
    cleanup: Cleanup, user_service: Any, published: Published
) -> None:
    anna, bert = user_service.has(days_inactive=40, count=2)
    run_id = cleanup.starts()
    cleanup.plans()
    user_service.answers(only=[bert])
    asked = {request.id for request in published(DeactivationRequested)}

    cleanup.clock.advance(15 * MINUTE - SECOND)
    cleanup.goes_on()
    assert len(published(DeactivationRequested)) == 2
    cleanup.clock.advance(SECOND)
    cleanup.goes_on()
    again = [request for request in published(DeactivationRequested) if request.id not in asked]
    assert [request.data.user_id for request in again] == [anna]
    cleanup.clock.advance(15 * MINUTE - SECOND)
    cleanup.goes_on()
    assert cleanup.run(run_id).is_open
    cleanup.clock.advance(SECOND)
    cleanup.goes_on()

    assert len(published(DeactivationRequested)) == 3
    assert cleanup.counts(run_id) == ("completed", 2, 1, 0, 1)
    assert cleanup.members()[anna] == ("failed", "no_answer")


def test_a_silent_member_who_answers_the_second_time_is_settled(cleanup: Cleanup, user_service: Any) -> None:
    (anna,) = user_service.has(days_inactive=40)
    run_id = cleanup.starts()
    cleanup.plans()
    cleanup.clock.advance(15 * MINUTE)
    cleanup.goes_on()

    user_service.answers({anna: "active_since_plan"})
    cleanup.goes_on()

    assert cleanup.counts(run_id) == ("completed", 1, 0, 1, 0)


@only_sqlite
@pytest.mark.parametrize("count", [runs.ASK_AT_ONCE, runs.ASK_AT_ONCE + 1])
def test_after_a_worker_was_away_for_long_the_silent_get_their_time_too(
    cleanup: Cleanup, user_service: Any, count: int
) -> None:
    user_service.has(days_inactive=40, count=count)
    run_id = cleanup.starts()
    cleanup.plans()
    cleanup.clock.advance(2 * HOUR)

    cleanup.goes_on()
    cleanup.clock.advance(15 * MINUTE - SECOND)
    cleanup.goes_on()

    assert len(user_service.was_asked()) == 2 * count
    assert cleanup.run(run_id).is_open


@pytest.fixture
def given_up(cleanup: Cleanup, user_service: Any) -> UUID:
    """A run of three of whom nobody answered."""
    user_service.has(days_inactive=40, count=3)
    run_id = cleanup.starts()
    cleanup.plans()
    for _ in range(2):
        cleanup.clock.advance(15 * MINUTE)
        cleanup.goes_on()
    assert cleanup.counts(run_id) == ("completed", 3, 0, 0, 3)
    return run_id


def test_a_late_answer_amends_the_report(
    cleanup: Cleanup, given_up: UUID, user_service: Any, published: Published
) -> None:
    anna, bert, _ = cleanup.members()

    user_service.answers({anna: "active_since_plan"}, only=[anna, bert])

    assert cleanup.counts(given_up) == ("completed", 3, 1, 1, 1)
    versions = [event.version for event in published(RunCompleted)]
    assert versions == sorted(set(versions))
    assert published(RunCompleted)[-1].data.failed == 1


def test_what_is_settled_stays_settled_and_is_not_announced_again(
    cleanup: Cleanup, given_up: UUID, user_service: Any, hear: Hear, published: Published
) -> None:
    anna, bert, _ = cleanup.members()
    user_service.answers({anna: "active_since_plan"}, only=[anna, bert])
    before = cleanup.members(), len(published(RunCompleted))

    hear([user_service.refused(bert, given_up, "already_inactive"), user_service.deactivated(anna, given_up)])

    assert (cleanup.members(), len(published(RunCompleted))) == before


def test_answers_to_nobodys_question_change_nothing(
    cleanup: Cleanup, given_up: UUID, user_service: Any, hear: Hear, published: Published
) -> None:
    anna, *_ = cleanup.members()
    before = cleanup.members(), len(published(RunCompleted))

    hear([user_service.deactivated(anna, None), user_service.deactivated(anna, uuid7())])
    hear([user_service.refused(uuid7(), given_up, "unknown_user"), user_service.refused(anna, uuid7(), "last_admin")])

    assert (cleanup.members(), len(published(RunCompleted))) == before


@only_postgresql
def test_an_answer_that_meets_the_end_of_the_run_is_in_the_report(
    cleanup: Cleanup, user_service: Any, hear: Hear
) -> None:
    (anna,) = user_service.has(days_inactive=40)
    run_id = cleanup.starts()
    cleanup.plans()
    cleanup.clock.advance(15 * MINUTE)
    cleanup.goes_on()
    cleanup.clock.advance(15 * MINUTE)
    answering = threading.Thread(target=lambda: hear([user_service.deactivated(anna, run_id)]))

    with cleanup.units.write() as uow:
        runs.advance(uow, cleanup.policy)
        uow.session.flush()
        answering.start()
        wait_until(lambda: waits_for_a_lock(cleanup.units))
    answering.join(10)

    assert cleanup.counts(run_id) == ("completed", 1, 1, 0, 0)
    assert cleanup.members()[anna] == ("deactivated", None)


@only_postgresql
def test_late_answers_that_come_at_once_are_all_in_the_report(
    cleanup: Cleanup, given_up: UUID, user_service: Any, hear: Hear
) -> None:
    anna, bert, carla = cleanup.members()
    late = threading.Thread(target=lambda: hear([user_service.deactivated(bert, given_up)]))

    with cleanup.units.write() as uow:
        subscriptions()[UserDeactivated.type].call([as_event(user_service.deactivated(anna, given_up))], uow)
        uow.session.flush()
        late.start()
        wait_until(lambda: waits_for_a_lock(cleanup.units))
    late.join(10)

    assert cleanup.counts(given_up) == ("completed", 3, 2, 0, 1)
    assert cleanup.members()[carla] == ("failed", "no_answer")


def waits_for_a_lock(units: Units[UnitOfWork]) -> bool:
    with units.read() as uow:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(uow.session.connection().exec_driver_sql(waiting).scalar())


def as_event(outgoing: Outgoing) -> Event:
    message = encoded(outgoing, outgoing.data.last_activity_at)
    (envelope,) = decoded(message.content_type, message.body.encode())
    return received(envelope, type(outgoing.data))


def test_without_a_watermark_a_run_fails_with_a_report(
    cleanup: Cleanup, user_service: Any, published: Published
) -> None:
    user_service.has(days_inactive=40)
    run_id = cleanup.starts()

    cleanup.clock.advance(5 * MINUTE)
    cleanup.goes_on()
    assert cleanup.run(run_id).is_open
    cleanup.clock.advance(SECOND)
    cleanup.goes_on()

    assert cleanup.counts(run_id) == ("failed", 0, 0, 0, 0)
    assert cleanup.run(run_id).error == "no_watermark"
    with cleanup.units.read() as uow:
        assert uow.runs.latest_report().id == run_id
    (event,) = published(RunCompleted)
    assert (event.data.status, event.data.active_users_remaining) == ("failed", 1)


def test_a_run_after_a_failed_one_is_as_any_other(cleanup: Cleanup, user_service: Any) -> None:
    cleanup.starts()
    cleanup.clock.advance(6 * MINUTE)
    cleanup.goes_on()

    run_id = cleanup.starts()
    cleanup.plans()

    assert cleanup.counts(run_id) == ("completed", 0, 0, 0, 0)


@only_sqlite
def test_the_log_tells_of_each_run_once_with_its_counts(
    cleanup: Cleanup, units: Units[UnitOfWork], policy: Policy, user_service: Any
) -> None:
    """S0-14."""
    lines = io.StringIO()
    log = make_log("cleanup-service", stream=lines)
    anna, *_ = user_service.has(40, count=3)
    user_service.has(1, count=2)
    run = cleanup.starts()
    cleanup.clock.advance(SECOND)
    user_service.says_where_it_is()

    for _ in range(2):
        while jobs.advance(units, policy, log):
            pass
        user_service.answers({anna: "active_since_plan"})
    while jobs.advance(units, policy, log):
        pass

    (line,) = map(json.loads, lines.getvalue().splitlines())
    assert (line["event"], line["run"], line["status"], line["trigger"]) == (
        "cleanup_run_ended",
        str(run),
        "completed",
        "manual",
    )
    counts = ("candidates", "deactivated", "refused", "failed", "remaining")
    assert [line[count] for count in counts] == [3, 2, 1, 0, 3]
    assert line["duration_ms"] == 1_000
