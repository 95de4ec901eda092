"""What cleanup-service asks for. The plan was made from a projection; here it meets the truth."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from service_chassis.messaging.envelope import Event, Outgoing
from user_service.messaging import publications
from user_service.model.user import Reason, Status
from user_service.persistence.unit_of_work import UnitOfWork


def apply_deactivations(uow: UnitOfWork, requests: Iterable[Event], *, tokens_live: timedelta) -> None:
    """Switch off the users that are still inactive, and refuse the others with a reason each.

    Whoever was active since the plan, is exempt, or is the last admin is left alone; a request that was carried out
    before is answered once more.
    """
    by_member = {(request.data.user_id, request.data.run_id): request for request in requests}
    members = {user_id for user_id, _ in by_member}
    # In the order of all locks: accounts, admins, other users.
    uow.accounts.lock_administered_by(members)
    admins = set(uow.users.active_admins())
    rows = uow.users.locked_many(members)
    needed = uow.accounts.sole_admins(members)
    accepted: dict[UUID, UUID] = {}
    answers: list[Outgoing] = []
    refusals: list[Outgoing] = []
    for (user_id, run_id), request in by_member.items():
        row = rows.get(user_id)
        if row is not None and row.deactivated_by_run == run_id:
            answers.append(publications.user_was_deactivated_by_run(row, run_id, request))
        elif reason := "already_inactive" if user_id in accepted else _refusal(row, request.data, admins, needed):
            refusals.append(publications.deactivation_refused(user_id, run_id, reason, uow.now, request))
        else:
            accepted[user_id] = run_id
            admins.discard(user_id)
            answers.append(publications.user_deactivated_by_run(row, run_id, uow.now, request))
    for run_id in set(accepted.values()):
        _deactivate(uow, [user_id for user_id, by in accepted.items() if by == run_id], run_id, tokens_live)
    uow.publish_all(answers)
    uow.publish_all(refusals)


def _refusal(row: Any, request: Any, active_admins: set[UUID], needed: set[UUID]) -> str | None:
    if row is None:
        return "unknown_user"
    if row.status != Status.ACTIVE:
        return "already_inactive"
    if row.role in request.exempt_roles:
        return "exempt_role"
    if row.last_activity_at >= request.cutoff:
        return "active_since_plan"
    return "last_admin" if active_admins == {row.id} or row.id in needed else None


def _deactivate(uow: UnitOfWork, user_ids: list[UUID], run_id: UUID, tokens_live: timedelta) -> None:
    actor = f"cleanup-run:{run_id}"
    uow.users.deactivate_all(user_ids, Reason.INACTIVITY, run_id, at=uow.now)
    uow.sessions.end_all(user_ids, reason="deactivated", at=uow.now, tokens_live=tokens_live)
    uow.record_all(actor, "user_deactivated", user_ids, Reason.INACTIVITY)
