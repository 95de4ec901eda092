from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanup_service.messaging import publications
from cleanup_service.model.errors import NotAwaitingApproval
from cleanup_service.model.policy import Policy, SafetyBreaker
from cleanup_service.model.run import Outcome, Run, RunStatus, Trigger, report_of
from service_chassis.ids import uuid7

NOON = datetime(2030, 1, 15, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=1.5)
POLICY = Policy(timedelta(days=30), ("admin",), SafetyBreaker(None, None))


def new_run() -> Run:
    run = Run.start(POLICY, Trigger.MANUAL, "ticket-7", at=NOON, requested_by=uuid7())
    run.number = 1
    return run


def planned_run(candidates: int = 3, objection: str | None = None) -> Run:
    run = new_run()
    run.plan(candidates, objection, at=NOON)
    return run


def test_a_new_run_is_planned_and_holds_the_slot() -> None:
    run = new_run()

    assert (run.status, run.is_open, run.slot) == (RunStatus.PLANNED, True, 1)
    assert (run.threshold_days, run.cutoff, run.exempt_roles) == (30, NOON - timedelta(days=30), ["admin"])
    assert (run.candidates, run.deactivated, run.refused, run.failed) == (0, 0, 0, 0)
    assert (run.planned_at, run.completed_at, run.duration_ms) == (None, None, None)


def test_a_plan_nobody_objects_to_runs() -> None:
    run = planned_run(candidates=3)

    assert (run.status, run.candidates, run.planned_at, run.objection) == (RunStatus.RUNNING, 3, NOON, None)


def test_a_plan_with_an_objection_waits_until_a_person_approves() -> None:
    run = planned_run(objection="Too many.")
    assert (run.status, run.is_open, run.objection) == (RunStatus.AWAITING_APPROVAL, True, "Too many.")

    run.approve()

    assert (run.status, run.objection) == (RunStatus.RUNNING, "Too many.")


def test_a_run_is_approved_only_while_it_waits_for_that() -> None:
    completed = planned_run()
    completed.complete({}, 0, at=LATER)
    failed = new_run()
    failed.fail("no_watermark", 0, at=LATER)

    for run in (new_run(), planned_run(), completed, failed):
        status = run.status
        with pytest.raises(NotAwaitingApproval):
            run.approve()
        assert run.status == status


def test_a_completed_run_has_counts_and_leaves_the_slot() -> None:
    run = planned_run(candidates=6)

    run.complete({Outcome.DEACTIVATED: 3, Outcome.REFUSED: 2, Outcome.FAILED: 1}, 40, at=LATER)

    assert (run.status, run.is_open, run.slot) == (RunStatus.COMPLETED, False, None)
    assert (run.deactivated, run.refused, run.failed, run.active_users_remaining) == (3, 2, 1, 40)
    assert (run.completed_at, run.duration_ms, run.error) == (LATER, 1500, None)


def test_a_failed_run_says_why_and_leaves_the_slot() -> None:
    run = new_run()

    run.fail("no_watermark", 40, at=LATER)

    assert (run.status, run.is_open, run.error) == (RunStatus.FAILED, False, "no_watermark")
    assert (run.completed_at, run.active_users_remaining) == (LATER, 40)


def test_a_report_says_what_the_run_did() -> None:
    run = planned_run(candidates=6)
    run.complete({Outcome.DEACTIVATED: 3, Outcome.REFUSED: 2, Outcome.FAILED: 1}, 40, at=LATER)

    report = report_of(run)

    assert (report["id"], report["run_id"], report["timestamp"]) == (1, run.id, LATER)
    assert (report["users_deleted"], report["users_deactivated"], report["users_purged"]) == (3, 3, 0)
    assert report["candidates"] == report["users_deactivated"] + report["users_refused"] + report["users_failed"]


@given(st.lists(st.sampled_from([Outcome.DEACTIVATED, Outcome.REFUSED]), max_size=8))
def test_every_late_answer_makes_a_newer_version_of_the_report(answers: list[Outcome]) -> None:
    run = planned_run(candidates=8)
    run.complete({Outcome.FAILED: 8}, 40, at=LATER)
    versions = [publications.run_completed(run).version]
    outcomes = {Outcome.FAILED: 8, Outcome.DEACTIVATED: 0, Outcome.REFUSED: 0}

    for answer in answers:
        outcomes[Outcome.FAILED] -= 1
        outcomes[answer] += 1
        run.count(outcomes)
        versions.append(publications.run_completed(run).version)

    assert all(earlier < later for earlier, later in pairwise(version or 0 for version in versions))
    assert run.candidates == run.deactivated + run.refused + run.failed


def test_a_run_still_open_is_not_announced_as_completed() -> None:
    with pytest.raises(ValueError, match="still open"):
        publications.run_completed(planned_run())
