"""What user-service answers to a run's requests."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from cleanup_service.messaging import publications
from cleanup_service.model.run import Outcome, Run
from cleanup_service.persistence.unit_of_work import UnitOfWork
from service_chassis.messaging.envelope import Event


def note_deactivated(uow: UnitOfWork, events: Sequence[Event]) -> None:
    """Settle the members that were switched off; deactivations of other causes are none of a run's business."""
    by_run: dict[UUID, list[UUID]] = defaultdict(list)
    for event in events:
        if event.data.run_id is not None:
            by_run[event.data.run_id].append(event.data.user_id)
    for run_id, user_ids in by_run.items():
        _settle(uow, run_id, user_ids, Outcome.DEACTIVATED, None)


def note_refused(uow: UnitOfWork, events: Sequence[Event]) -> None:
    """Settle the members that user-service left alone, with its reasons."""
    by_reason: dict[tuple[UUID, str], list[UUID]] = defaultdict(list)
    for event in events:
        by_reason[event.data.run_id, event.data.reason].append(event.data.user_id)
    for (run_id, reason), user_ids in by_reason.items():
        _settle(uow, run_id, user_ids, Outcome.REFUSED, reason)


def _settle(uow: UnitOfWork, run_id: UUID, user_ids: list[UUID], outcome: Outcome, reason: str | None) -> None:
    run = uow.runs.settle(run_id, sorted(user_ids), outcome, reason, at=uow.now)
    if run is not None and not run.is_open:
        _amend(uow, run)


def _amend(uow: UnitOfWork, run: Run) -> None:
    """Correct the report of a closed run, because an answer came late."""
    run.count(uow.runs.outcomes(run))
    uow.publish(publications.run_completed(run))
