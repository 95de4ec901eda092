"""What user-service answers to a run's requests."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from cleanup_service.messaging import publications
from cleanup_service.model.run import Outcome
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
    answer = {"outcome": outcome, "reason": reason, "outcome_at": uow.now}
    if uow.runs.settle(run_id, sorted(user_ids), answer) and not uow.runs.get(run_id).is_open:
        _amend(uow, run_id)


def _amend(uow: UnitOfWork, run_id: UUID) -> None:
    """Correct the report of a closed run, because an answer came late."""
    # Locked before it is counted: of two late answers at once the second has to count the first.
    run = uow.runs.locked(run_id)
    run.count(uow.runs.outcomes(run))
    uow.publish(publications.run_completed(run))
