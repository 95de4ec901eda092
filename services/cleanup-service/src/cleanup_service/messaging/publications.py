"""From a change to its contract; the only place where this service builds events."""

from datetime import datetime
from uuid import UUID

import event_contracts as contracts
from cleanup_service.model.run import Run
from service_chassis.messaging.envelope import Outgoing


def run_started(run: Run) -> Outgoing:
    return Outgoing(
        contracts.RunStarted(
            run_id=run.id,
            trigger=run.trigger,  # type: ignore[arg-type]  # one of the two triggers
            requested_by=run.requested_by,
            started_at=run.started_at,
        )
    )


def deactivation_requested(run: Run, user_id: UUID, at: datetime) -> Outgoing:
    return Outgoing(
        contracts.DeactivationRequested(
            user_id=user_id,
            run_id=run.id,
            cutoff=run.cutoff,
            exempt_roles=tuple(run.exempt_roles),  # type: ignore[arg-type]  # config has checked that these are roles
            requested_at=at,
        )
    )


def run_completed(run: Run) -> Outgoing:
    """Tell of a closed run, or of its report amended by a late answer: each settles one more member."""
    if run.completed_at is None:
        raise ValueError("A run that is still open has not completed.")
    event = contracts.RunCompleted(
        run_id=run.id,
        report_id=run.number,
        status=run.status,  # type: ignore[arg-type]  # a closed run is completed or failed
        trigger=run.trigger,  # type: ignore[arg-type]  # one of the two triggers
        requested_by=run.requested_by,
        threshold_days=run.threshold_days,
        cutoff=run.cutoff,
        candidates=run.candidates,
        deactivated=run.deactivated,
        refused=run.refused,
        failed=run.failed,
        active_users_remaining=run.active_users_remaining or 0,
        started_at=run.started_at,
        completed_at=run.completed_at,
    )
    return Outgoing(event, version=1 + run.deactivated + run.refused)
