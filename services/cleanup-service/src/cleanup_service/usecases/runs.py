"""A cleanup run from its trigger to its report: watermark, plan, requests, answers, report.

Each step is a transaction of its own and can be repeated, so a run goes on where it was when the process died.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cleanup_service.messaging import publications
from cleanup_service.model.errors import NotAwaitingApproval
from cleanup_service.model.known_user import USERS
from cleanup_service.model.policy import Policy
from cleanup_service.model.run import Run, RunStatus, Trigger, tally
from cleanup_service.persistence.unit_of_work import UnitOfWork
from service_chassis import correlation
from service_chassis.snapshots import progress

ASK_AT_ONCE = 1_000
"""Members asked about in one transaction."""
ANSWER_WITHIN = timedelta(minutes=15)
WATERMARK_WITHIN = timedelta(minutes=5)


def start(
    uow: UnitOfWork,
    policy: Policy,
    trigger: Trigger,
    *,
    requested_by: UUID | None = None,
    expect_up_to: int | None = None,
) -> Run:
    """Open a run, which the worker carries out. Raises RunInProgress."""
    ids = correlation.current() or correlation.fresh()
    run = Run.start(policy, trigger, ids.correlation_id, at=uow.now, requested_by=requested_by)
    run.expect_up_to = expect_up_to
    uow.publish(publications.run_started(run))
    return uow.runs.add(run)


def start_when_due(uow: UnitOfWork, policy: Policy, interval: timedelta, since: datetime) -> None:
    """Open a scheduled run when none is open and the last one, or `since` where there was none, is an interval ago."""
    last = uow.runs.latest_start() or since
    if uow.now - last >= interval and uow.runs.open_run() is None:
        start(uow, policy, Trigger.SCHEDULE)


def approve(uow: UnitOfWork, run_id: UUID) -> Run:
    """Let a run go on that the safety breaker holds. Raises RunNotFound, NotAwaitingApproval."""
    run = uow.runs.locked(run_id)
    run.approve()
    return run


def reject(uow: UnitOfWork, run_id: UUID) -> Run:
    """Close a run that the safety breaker holds without acting. Raises RunNotFound, NotAwaitingApproval."""
    run = uow.runs.locked(run_id)
    if run.status != RunStatus.AWAITING_APPROVAL:
        raise NotAwaitingApproval
    uow.runs.give_up(run, at=uow.now, reason="rejected")
    run.count(uow.runs.outcomes(run))
    _fail(uow, run, "rejected")
    return run


def view(uow: UnitOfWork, run_id: UUID) -> dict[str, Any]:
    """Return a run as it stands, with the reasons of those left alone. Raises RunNotFound."""
    run = uow.runs.get(run_id)
    so_far = tally(uow.runs.outcomes(run)) if run.is_open else {}
    return {**run.shown(), **so_far, "reasons": uow.runs.reasons(run)}


def is_one_open(uow: UnitOfWork) -> bool:
    """Say whether there is a run to advance."""
    return uow.runs.has_open()


def advance(uow: UnitOfWork, policy: Policy) -> bool:
    """Take the open run one step further; say whether the next step can follow at once."""
    run = uow.runs.open_run()
    if run is None:
        return False
    with correlation.correlated(correlation.Correlation(run.correlation_id)):
        if run.status == RunStatus.PLANNED:
            return _plan(uow, run, policy)
        if run.status == RunStatus.RUNNING:
            return _ask(uow, run) if run.asked_all_at is None else _await_answers(uow, run)
    return False


def _plan(uow: UnitOfWork, run: Run, policy: Policy) -> bool:
    """Fix who is in the run, once the projection is whole and holds everything from before the run's start."""
    watermark = uow.known_users.watermark()
    if progress.unfinished(uow.session, [USERS]) or watermark is None or watermark <= run.started_at:
        if uow.now - run.started_at > WATERMARK_WITHIN:
            _fail(uow, run, "no_watermark")
        return False
    active = uow.known_users.active_count()
    candidates = uow.runs.plan_members(run)
    run.plan(candidates, policy.breaker.objection(candidates, active, run.expect_up_to), at=uow.now)
    return run.status == RunStatus.RUNNING


def _ask(uow: UnitOfWork, run: Run) -> bool:
    """Ask user-service about the next members."""
    members = uow.runs.members_after(run, ASK_AT_ONCE)
    _request(uow, run, members)
    if members:
        run.asked_up_to = members[-1]
    if len(members) < ASK_AT_ONCE:
        run.asked_all_at = uow.now
    return True


def _await_answers(uow: UnitOfWork, run: Run) -> bool:
    """Close the run when every member has an outcome; ask the silent once more, then give them up."""
    if not uow.runs.has_unanswered(run):
        _complete(uow, run)
        return False
    if run.asked_all_at is None or uow.now - run.asked_all_at < ANSWER_WITHIN:
        return False
    silent = uow.runs.unanswered(run, asked=0, limit=ASK_AT_ONCE)
    if not silent:
        uow.runs.give_up(run, at=uow.now)
        _complete(uow, run)
        return False
    _request(uow, run, silent)
    uow.runs.asked_again(run, silent)
    if not uow.runs.unanswered(run, asked=0, limit=1):
        run.asked_all_at = uow.now
    return True


def _request(uow: UnitOfWork, run: Run, members: list[UUID]) -> None:
    uow.publish_all(publications.deactivation_requested(run, user_id, uow.now) for user_id in members)


def _complete(uow: UnitOfWork, run: Run) -> None:
    run.complete(uow.runs.outcomes(run), uow.known_users.active_count(), at=uow.now)
    uow.publish(publications.run_completed(run))


def _fail(uow: UnitOfWork, run: Run, error: str) -> None:
    run.fail(error, uow.known_users.active_count(), at=uow.now)
    uow.publish(publications.run_completed(run))
