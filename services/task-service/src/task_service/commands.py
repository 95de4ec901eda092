"""The service's own commands."""

import dataclasses
import json
import time

import click

from service_chassis import correlation
from service_chassis.cli import ready_service
from service_chassis.errors import ServiceError
from service_chassis.service import Service
from task_service.parts import Parts
from task_service.sweeper import Sweeper
from task_service.usecases.sweep import Done

PAUSE = 0.01
"""Seconds between two steps, in which others may write where only one can at a time."""


@click.command("auto_update_tasks")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
@click.pass_context
def auto_update_tasks(context: click.Context, *, as_json: bool) -> None:
    """Do one pass: let tasks be missed whose deadline has passed, alert managers, tell of who missed too many.

    It may run beside the workers, and from cron.
    """
    service = ready_service(context)
    try:
        done = _swept(service)
    except ServiceError as error:
        raise click.ClickException(f"{error.message} What is done stays done; run it again.") from error
    click.echo(json.dumps(dataclasses.asdict(done)) if as_json else _sentence(done))


def _swept(service: Service) -> Done:
    parts: Parts = service.parts
    sweeper, done, more = Sweeper(service.units, parts.settings.rules), Done(), True
    with correlation.correlated(correlation.fresh()):
        while more:
            step, more = sweeper.step()
            done += step
            time.sleep(PAUSE)
        service.log.info("tasks_swept", **dataclasses.asdict(done))
    return done


def _sentence(done: Done) -> str:
    return (
        f"{done.missed} tasks missed, {done.due_soon} due soon, "
        f"{done.limits_reached} users over the limit, {done.limits_held} held for approval."
    )
