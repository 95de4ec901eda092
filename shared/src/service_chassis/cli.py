"""The command line every service has: `python -m <service> web | worker | migrate | ...` and the service's own."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

import click
from prometheus_client import CollectorRegistry

from service_chassis import process
from service_chassis.database import DatabaseUnavailable
from service_chassis.logs import capture_library_logs
from service_chassis.messaging import failures, outbox
from service_chassis.messaging.failures import Filter
from service_chassis.service import Service
from service_chassis.settings import SettingsError

Bootstrap = Callable[[Mapping[str, str], CollectorRegistry, threading.Event], Service]

CONFIGURATION_ERROR = 78
"""Exit code of wrong settings, EX_CONFIG of sysexits.h."""
UNAVAILABLE = 69
"""Exit code of a database that is not there, EX_UNAVAILABLE of sysexits.h."""
LOOK_EVERY = 1.0
PATIENCE = 60.0
"""Seconds for which a process that is to stay waits for its database when it starts."""


def command_line(bootstrap: Bootstrap, doc: str, own: Sequence[click.Command] = ()) -> click.Group:
    """Return a service's commands, its own included; `--help` works whatever the settings are."""

    @click.group(help=doc)
    @click.pass_context
    def group(context: click.Context) -> None:
        context.obj = _Lazy(bootstrap)

    for command in (_web, _worker, _migrate, _outbox, _dead_letters, *own):
        group.add_command(command)
    return group


class _Lazy:
    """The service, put together when the first command asks for it."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._bootstrap = bootstrap
        self.stop = threading.Event()

    def __call__(self) -> Service:
        try:
            return self._bootstrap(os.environ, CollectorRegistry(), self.stop)
        except SettingsError as error:
            click.echo(str(error), err=True)
            sys.exit(CONFIGURATION_ERROR)


def ready_service(context: click.Context) -> Service:
    """Return the service for a command that does one thing and ends.

    It brings the database up to date, but never makes one: a command that looks in the wrong place must not find
    an empty database there and report success.
    """
    service: Service = context.obj()
    if service.database.absent_file is not None:
        click.echo(
            f"The database is not available: there is no file {service.database.absent_file}. STEWARD_DATA names its"
            " folder, DATABASE_URL any other place; web, worker and migrate make a new one.",
            err=True,
        )
        sys.exit(UNAVAILABLE)
    return _migrated(service, context.obj.stop, patience=0)


def _lasting_service(context: click.Context) -> Service:
    """Return the service for a process that is to stay, which waits for its database and may make it."""
    service: Service = context.obj()
    service.warn_of_unread_settings()
    service.database.make_folder()
    return _migrated(service, context.obj.stop, patience=PATIENCE)


def _migrated(service: Service, stop: threading.Event, *, patience: float) -> Service:
    process.tune()
    capture_library_logs(service.log)
    until = time.monotonic() + patience
    while not _is_migrated(service, waits=time.monotonic() < until):
        stop.wait(LOOK_EVERY)
    return service


def _is_migrated(service: Service, *, waits: bool) -> bool:
    try:
        service.migrate()
    except SettingsError as error:
        click.echo(str(error), err=True)
        sys.exit(CONFIGURATION_ERROR)
    except DatabaseUnavailable as error:
        if not waits:
            click.echo(f"The database is not available: {error.__cause__ or error}", err=True)
            sys.exit(UNAVAILABLE)
        service.log.warning("database_awaited", error=str(error.__cause__ or error))
        return False
    return True


@click.command("web")
@click.pass_context
def _web(context: click.Context) -> None:
    """Answer requests, until told to stop."""
    # gunicorn runs on POSIX only, and no other command needs it.
    from service_chassis.http.server import serve

    serve(_lasting_service(context))


@click.command("worker")
@click.pass_context
def _worker(context: click.Context) -> None:
    """Consume and publish events and run the scheduled jobs, until told to stop."""
    service = _lasting_service(context)
    if not service.runtime.broker_url:
        # Other processes need none, so that the settings as such are right without.
        click.echo("A worker needs BROKER_URL.", err=True)
        sys.exit(CONFIGURATION_ERROR)
    process.stop_on_signals(context.obj.stop)
    worker = service.make_worker()
    health = None
    if service.runtime.worker_bind:
        from service_chassis.http.server import serve_worker

        health = serve_worker(service, worker, service.metrics.registry)
    ended = worker.run()
    if health is not None:
        # Its threads would keep the process alive.
        health.stop()
    service.database.close()
    sys.exit(0 if ended else 1)


@click.command("migrate")
@click.pass_context
def _migrate(context: click.Context) -> None:
    """Bring the database up to date; other processes that try meanwhile wait."""
    service: Service = context.obj()
    service.database.make_folder()
    ran = service.migrate()
    click.echo("\n".join(f"applied {revision}" for revision in ran) or "The database is up to date.")


@click.group("outbox")
def _outbox() -> None:
    """Look at what waits to be published, or publish again."""


@_outbox.command("status")
@click.pass_context
def _outbox_status(context: click.Context) -> None:
    """Print how many messages are not published yet, by state, as JSON."""
    with ready_service(context).units.read() as uow:
        oldest = outbox.oldest_pending(uow.session)
        _print({"unpublished": outbox.backlog(uow.session), "oldest_pending": oldest and oldest.isoformat()})


@_outbox.command("replay")
@click.option("--since", type=click.DateTime(), required=True, help="UTC; what was published from then on.")
@click.option("--type", "types", multiple=True, help="Only this event type; may be given several times.")
@click.option("--dry-run", is_flag=True, help="Only say how many messages that would be.")
@click.pass_context
def _outbox_replay(context: click.Context, since: Any, types: tuple[str, ...], *, dry_run: bool) -> None:
    """Publish again what was published since an instant; consumers that had it pass it over."""
    with ready_service(context).units.write() as uow:
        rows = outbox.replay(uow.session, since.replace(tzinfo=UTC), types=types, dry_run=dry_run)
    _print({"messages": rows, "dry_run": dry_run})


@click.group("dead-letters")
def _dead_letters() -> None:
    """Look at messages that could not be handled, and handle or drop them."""


def _filtered(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--id", "ids", multiple=True, type=click.UUID, help="Only this one; may be given several times."),
        click.option("--type", "event_type", help="Only this event type."),
        click.option("--reason", help="Only with this reason."),
        click.option("--subject", help="Only about this aggregate."),
    ):
        function = option(function)
    return function


def _filter(ids: tuple[UUID, ...], event_type: str | None, reason: str | None, subject: str | None) -> Filter:
    return Filter(ids=ids or None, type=event_type, reason=reason, subject=subject)


def _scoped(*, everything: bool, **chosen: Any) -> Filter:
    if any(chosen.values()) == everything:
        raise click.UsageError("Name a filter, or say --all, and not both.")
    return _filter(**chosen)


@_dead_letters.command("list")
@_filtered
@click.option("--limit", default=100, show_default=True)
@click.pass_context
def _list(context: click.Context, /, limit: int, **chosen: Any) -> None:
    """Print dead letters, newest first, one JSON object a line."""
    with ready_service(context).units.read() as uow:
        for row in failures.listed(uow.session, _filter(**chosen), limit):
            _print(dead_letter(row, with_body=False))


@_dead_letters.command("show")
@click.argument("letter_id", type=click.UUID)
@click.pass_context
def _show(context: click.Context, letter_id: UUID) -> None:
    """Print one dead letter with its body."""
    with ready_service(context).units.read() as uow:
        rows = failures.listed(uow.session, Filter(ids=[letter_id]))
    if not rows:
        raise click.ClickException(f"There is no dead letter {letter_id}.")
    _print(dead_letter(rows[0], with_body=True))


@_dead_letters.command("redrive")
@_filtered
@click.option("--all", "everything", is_flag=True, help="Every dead letter, where no filter is given.")
@click.option("--dry-run", is_flag=True, help="Only say how many that would be.")
@click.pass_context
def _redrive(context: click.Context, /, *, dry_run: bool, everything: bool, **chosen: Any) -> None:
    """Give dead letters a fresh set of attempts."""
    with ready_service(context).units.write() as uow:
        chosen_letters = _scoped(everything=everything, **chosen)
        number = failures.count(uow.session, chosen_letters)
        if not dry_run:
            failures.redrive(uow.session, chosen_letters, uow.now)
    _print({"redriven": number, "dry_run": dry_run})


@_dead_letters.command("drop")
@_filtered
@click.option("--all", "everything", is_flag=True, help="Every dead letter, where no filter is given.")
@click.option("--dry-run", is_flag=True, help="Only say how many that would be.")
@click.pass_context
def _drop(context: click.Context, /, *, dry_run: bool, everything: bool, **chosen: Any) -> None:
    """Delete dead letters for good."""
    with ready_service(context).units.write() as uow:
        chosen_letters = _scoped(everything=everything, **chosen)
        number = failures.count(uow.session, chosen_letters)
        if not dry_run:
            failures.drop(uow.session, chosen_letters)
    _print({"dropped": number, "dry_run": dry_run})


def dead_letter(row: Any, *, with_body: bool) -> dict[str, Any]:
    """Return a dead letter as operators read it."""
    letter = {
        "id": str(row.id),
        "type": row.type,
        "subject": row.subject,
        "message_id": row.message_id,
        "reason": row.reason,
        "error": row.error,
        "attempts": row.attempts,
        "first_failed_at": row.first_failed_at.isoformat(),
        "last_failed_at": row.last_failed_at.isoformat(),
        "correlation_id": row.correlation_id,
    }
    return letter | {"body": row.body} if with_body else letter


def _print(value: Any) -> None:
    click.echo(json.dumps(value))
