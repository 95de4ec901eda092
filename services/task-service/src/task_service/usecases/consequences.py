"""What follows when somebody misses too many tasks: user-service is told, once a person has looked where one has to."""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from service_chassis import correlation
from task_service.messaging import publications
from task_service.model.errors import NoLongerReached
from task_service.model.miss_limit import LimitState, MissLimit, reached
from task_service.model.rules import MissRules
from task_service.persistence.unit_of_work import UnitOfWork


def count(uow: UnitOfWork, rules: MissRules, user_id: UUID | None = None) -> int:
    """Find out whether somebody has reached the limit by misses not counted yet; return of how many that was asked.

    Of one user, or of the first of all.
    """
    taken = {mark.user_id: mark for mark in uow.miss_limits.take(user_id)}
    if not taken:
        return 0
    earliest = min(mark.since for mark in taken.values())
    misses = [
        miss for miss in uow.tasks.misses(taken.keys(), rules, earliest) if miss.missed_at >= taken[miss.user_id].since
    ]
    if misses:
        known = uow.miss_limits.reached({miss.user_id for miss in misses}, earliest - rules.window)
        found_by = {user_id: mark.correlation_id for user_id, mark in taken.items()}
        uow.miss_limits.add_all(reached(misses, known, rules), rules.limit, uow.now, found_by)
    return len(taken)


def release(uow: UnitOfWork, rules: MissRules) -> tuple[int, int]:
    """Tell user-service what the sweep has found, or hold it where it is too much; return how many of each.

    Only the end of a sweep knows how many there are, so a sweep that was killed leaves this to the next.
    """
    pending = uow.miss_limits.pending()
    if not pending:
        return 0, 0
    held = rules.held([limit.manager_id for limit in pending])
    let_go = [limit for limit in pending if limit.manager_id not in held]
    waiting = [limit.id for limit in pending if limit.manager_id in held]
    uow.miss_limits.set_state([limit.id for limit in let_go], LimitState.RELEASED)
    uow.miss_limits.set_state(waiting, LimitState.HELD)
    uow.alerts.follow_limits([limit for limit in pending if limit.manager_id in held], uow.now)
    _tell(uow, let_go)
    return len(let_go), len(waiting)


def approve(uow: UnitOfWork, rules: MissRules, limit_id: UUID, by: UUID) -> MissLimit:
    """Let a held consequence go on. Raises ConsequenceNotFound, NotHeld, NoLongerReached."""
    limit = uow.miss_limits.locked(limit_id)
    limit.check_held()
    since = uow.tasks.misses([limit.user_id], rules, limit.reached_at)
    reached_by = next((miss for miss in since if rules.counts(miss.counted_from, miss.missed_at)), None)
    if reached_by is None:
        raise NoLongerReached
    # By another miss than the one it waited for, if that was excused meanwhile.
    limit.counted_from, limit.reached_at = reached_by.counted_from, reached_by.missed_at
    limit.decide(LimitState.RELEASED, by, at=uow.now)
    uow.alerts.follow_limits([limit], uow.now)
    _tell(uow, [limit])
    return limit


def reject(uow: UnitOfWork, limit_id: UUID, by: UUID) -> MissLimit:
    """End a held consequence; the user goes on. Raises ConsequenceNotFound, NotHeld."""
    limit = uow.miss_limits.locked(limit_id)
    limit.decide(LimitState.REJECTED, by, at=uow.now)
    uow.alerts.follow_limits([limit], uow.now)
    return limit


def _tell(uow: UnitOfWork, limits: Sequence[MissLimit]) -> None:
    """Tell each under the correlation id of the sweep that missed the last of the tasks."""
    for found_by, together in groupby(sorted(limits, key=_origin), key=_origin):
        with correlation.correlated(correlation.Correlation(found_by)):
            uow.publish_all(publications.miss_limit_reached(limit) for limit in together)


def _origin(limit: MissLimit) -> str:
    return limit.correlation_id
