"""Cleanup runs: trigger one, see how far it is, approve one that waits."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from cleanup_service.http.dependencies import may_read_reports, may_run_cleanups, policy, uow
from cleanup_service.http.schemas import MemberView, RunSummary, RunView, TriggerBody, TriggeredView
from cleanup_service.model.run import Member, Run, Trigger
from cleanup_service.usecases import runs
from service_chassis.http import Blueprint, Page, PageQuery, Paging, allowed, caller

cleanup = Blueprint("cleanup", __name__, url_prefix="/api/v1/cleanup", description="Runs that switch off who is gone.")


@cleanup.route("/runs", methods=["POST"])
@cleanup.arguments(TriggerBody, required=False)
@cleanup.response(202, TriggeredView, description="Cleanup run started")
@allowed(may_run_cleanups)
def trigger(body: Mapping[str, Any]) -> dict[str, Any]:
    """Start a cleanup run now; one runs at a time."""
    days = body.get("threshold_days")
    rules = policy() if days is None else policy().with_threshold(timedelta(days=days))
    run = runs.start(uow(), rules, Trigger.MANUAL, requested_by=caller().subject, expect_up_to=body.get("expect_up_to"))
    return {"id": run.id, "status": run.status, "status_url": f"/api/v1/cleanup/runs/{run.id}"}


@cleanup.route("/runs")
@cleanup.arguments(PageQuery, location="query")
@cleanup.response(200, RunSummary(many=True))
@allowed(may_read_reports)
def list_runs(paging: Paging) -> Page[Run]:
    """List runs, newest first."""
    return uow().runs.page(paging)


@cleanup.route("/runs/<uuid:run_id>")
@cleanup.response(200, RunView)
@allowed(may_read_reports)
def get_run(run_id: UUID) -> dict[str, Any]:
    """Return a run; while it is open, with what is known so far."""
    return runs.view(uow(), run_id)


@cleanup.route("/runs/<uuid:run_id>/members")
@cleanup.arguments(PageQuery, location="query")
@cleanup.response(200, MemberView(many=True))
@allowed(may_read_reports)
def list_members(paging: Paging, run_id: UUID) -> Page[Member]:
    """List who is in a run's plan, on which evidence, and what became of each."""
    return uow().runs.members_page(uow().runs.get(run_id), paging)


@cleanup.route("/runs/<uuid:run_id>/approve", methods=["POST"])
@cleanup.response(200, RunSummary, description="Run approved")
@allowed(may_run_cleanups)
def approve(run_id: UUID) -> Run:
    """Let a run go on that the safety breaker holds."""
    return runs.approve(uow(), run_id)


@cleanup.route("/runs/<uuid:run_id>/reject", methods=["POST"])
@cleanup.response(200, RunSummary, description="Run rejected")
@allowed(may_run_cleanups)
def reject(run_id: UUID) -> Run:
    """Close a run that the safety breaker holds; nobody is switched off."""
    return runs.reject(uow(), run_id)
