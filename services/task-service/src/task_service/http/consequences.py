"""Consequences of missed tasks: what was told to user-service, and what waits for a person because it is too much."""

from uuid import UUID

from service_chassis.http import Blueprint, Page, Paging, allowed, caller
from task_service.http.dependencies import may_decide_consequences, rules, uow
from task_service.http.schemas import ConsequenceQuery, ConsequenceView
from task_service.model.miss_limit import MissLimit
from task_service.usecases import consequences as usecases

consequences = Blueprint(
    "consequences", __name__, url_prefix="/api/v1/tasks/consequences", description="What follows from missed tasks."
)


@consequences.route("")
@consequences.arguments(ConsequenceQuery, location="query")
@consequences.response(200, ConsequenceView(many=True))
@allowed(may_decide_consequences)
def list_consequences(query: tuple[Paging, str]) -> Page[MissLimit]:
    """List consequences, newest first; unless another state is asked for, those that are held."""
    paging, state = query
    return uow().miss_limits.page(state, paging)


@consequences.route("/<uuid:limit_id>/approve", methods=["POST"])
@consequences.response(200, ConsequenceView, description="Consequence approved")
@allowed(may_decide_consequences)
def approve(limit_id: UUID) -> MissLimit:
    """Let a held consequence go on: user-service is told, and decides."""
    return usecases.approve(uow(), rules(), limit_id, caller().subject)


@consequences.route("/<uuid:limit_id>/reject", methods=["POST"])
@consequences.response(200, ConsequenceView, description="Consequence rejected")
@allowed(may_decide_consequences)
def reject(limit_id: UUID) -> MissLimit:
    """End a held consequence; the user goes on."""
    return usecases.reject(uow(), limit_id, caller().subject)
