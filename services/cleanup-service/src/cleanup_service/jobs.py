"""What the scheduler does with runs, and what the log tells of it."""

from cleanup_service.model.policy import Policy
from cleanup_service.model.run import Run
from cleanup_service.persistence.unit_of_work import UnitOfWork
from cleanup_service.usecases import runs
from service_chassis import correlation
from service_chassis.logs import Log
from service_chassis.unit_of_work import Units


def advance(units: Units[UnitOfWork], policy: Policy, log: Log) -> bool:
    """Take the open run one step further; return whether the next step can follow at once."""
    with units.read() as uow:
        if not runs.is_one_open(uow):
            return False
    with units.write() as uow:
        run = uow.runs.open_run()
        more = runs.advance(uow, policy)
    if run is not None and not run.is_open:
        _log_end(run, log)
    return more


def _log_end(run: Run, log: Log) -> None:
    with correlation.correlated(correlation.Correlation(run.correlation_id)):
        log.info(
            "cleanup_run_ended",
            run=str(run.id),
            status=run.status,
            trigger=run.trigger,
            candidates=run.candidates,
            deactivated=run.deactivated,
            refused=run.refused,
            failed=run.failed,
            remaining=run.active_users_remaining,
            duration_ms=run.duration_ms,
        )
