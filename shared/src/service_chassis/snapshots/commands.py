"""The commands of services that hold projections: have a snapshot again, and compare with the owner."""

import json

import click

from service_chassis.cli import ready_service
from service_chassis.errors import ServiceError
from service_chassis.service import Service
from service_chassis.snapshots import progress
from service_chassis.snapshots.catching_up import CatchingUp
from service_chassis.snapshots.comparison import Comparison
from service_chassis.snapshots.projection import Projected, Projection

_names = click.option("--type", "names", multiple=True, help="Only these states; may be given several times.")


@click.command("resync")
@_names
@click.pass_context
def resync(context: click.Context, names: tuple[str, ...]) -> None:
    """Take over all states from their owner once more.

    What is interrupted goes on in a worker, which may do the same beside it.
    """
    service = ready_service(context)
    projected = _projected(service)
    chosen = [projection.name for projection in _chosen(projected, names)]
    with service.units.write() as uow:
        progress.begin_again(uow.session, chosen)
    catching_up, shown = CatchingUp(projected), ""
    try:
        while catching_up.step():
            if (problem := catching_up.problem() or "done") != shown:
                shown = problem
                click.echo(shown, err=True)
    except ServiceError as error:
        raise click.ClickException(f"{error.message} What is done stays done; a worker goes on with it.") from error
    click.echo(json.dumps({"resynced": chosen}))


@click.command("compare")
@_names
@click.option("--repair", is_flag=True, help="Mend what differs.")
@click.pass_context
def compare(context: click.Context, names: tuple[str, ...], *, repair: bool) -> None:
    """Compare what is held of others' states with their owner, and print what differs, by cause, as JSON."""
    projected = _projected(ready_service(context))
    comparison = Comparison(projected, context.obj.stop)
    try:
        for projection in _chosen(projected, names):
            found = comparison.compare(projection, repair=repair)
            click.echo(json.dumps({"type": projection.name, "rows": found.rows, "differences": found.counts}))
    except ServiceError as error:
        raise click.ClickException(error.message) from error


def _projected(service: Service) -> Projected:
    if service.projected is None:
        raise click.ClickException("This service holds no states of others.")
    return service.projected


def _chosen(projected: Projected, names: tuple[str, ...]) -> list[Projection]:
    unknown = set(names) - set(projected.names)
    if unknown:
        raise click.UsageError(f"There is no {', '.join(sorted(unknown))}; there is {', '.join(projected.names)}.")
    return [projection for projection in projected.projections if not names or projection.name in names]
