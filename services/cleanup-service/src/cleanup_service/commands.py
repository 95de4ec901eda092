"""The service's own commands."""

import json
import sys
import time
from typing import Any
from uuid import UUID

import click

from cleanup_service.model.run import RunStatus, Trigger
from cleanup_service.parts import Parts
from cleanup_service.usecases import runs
from service_chassis.cli import ready_service
from service_chassis.errors import ServiceError
from service_chassis.service import Service

LOOK_EVERY_SECONDS = 0.2
NOT_ENDED = 75
"""Exit code, as sysexits.h has it: nothing failed, but the run waits for a person or takes longer."""
ENDED = {RunStatus.COMPLETED, RunStatus.FAILED}
COUNTS = ("candidates", "deactivated", "refused", "failed", "active_users_remaining")


@click.command("cleanup_inactive_users")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.option("--within", default=3600.0, show_default=True, help="Seconds to wait for the end of the run.")
@click.pass_context
def cleanup_inactive_users(context: click.Context, *, as_json: bool, within: float) -> None:
    """Start a cleanup run, wait for its end and print its counts.

    The workers of cleanup-service and user-service carry it out. The exit code is 0 for a completed run, 1 for a
    failed one or where another run is in progress, and 75 for one that has not ended or waits for approval.
    """
    service = ready_service(context)
    try:
        run_id = _start(service)
        run = _followed(service, run_id, time.monotonic() + within)
    except ServiceError as error:
        raise click.ClickException(error.message) from error
    click.echo(json.dumps(_counts(run)) if as_json else _sentence(run))
    if run["status"] not in ENDED:
        sys.exit(NOT_ENDED)
    sys.exit(0 if run["status"] == RunStatus.COMPLETED else 1)


def _start(service: Service) -> UUID:
    parts: Parts = service.parts
    with service.units.write() as uow:
        return runs.start(uow, parts.settings.policy, Trigger.MANUAL).id


def _followed(service: Service, run_id: UUID, until: float) -> dict[str, Any]:
    """Return the run once it has ended, waits for a person, or time is up; tell of its progress meanwhile."""
    told = ""
    while True:
        with service.units.read() as uow:
            run = runs.view(uow, run_id)
        if run["status"] in ENDED | {RunStatus.AWAITING_APPROVAL} or time.monotonic() > until:
            return run
        if (progress := _progress(run)) != told:
            click.echo(progress, err=True)
            told = progress
        time.sleep(LOOK_EVERY_SECONDS)


def _progress(run: dict[str, Any]) -> str:
    answered = run["deactivated"] + run["refused"] + run["failed"]
    return f"{run['id']} {run['status']}: {answered} of {run['candidates']} done"


def _counts(run: dict[str, Any]) -> dict[str, Any]:
    return {"run": str(run["id"]), "status": run["status"], **{name: run[name] for name in COUNTS}}


def _sentence(run: dict[str, Any]) -> str:
    remaining = run["active_users_remaining"]
    left = "" if remaining is None else f", {remaining} active users remaining"
    return (
        f"Run {run['id']} {run['status']}: {run['candidates']} candidates, {run['deactivated']} deactivated,"
        f" {run['refused']} refused, {run['failed']} failed{left}."
    )
