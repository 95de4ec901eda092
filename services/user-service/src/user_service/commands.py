"""The service's own commands."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from service_chassis.cli import ready_service
from service_chassis.errors import ServiceError
from user_service.model.import_row import Rejected
from user_service.model.user import Role
from user_service.usecases import importing, registration

UNUSABLE_FILE = 65
"""Exit code of a file that is no import file at all, EX_DATAERR of sysexits.h."""


@click.command("create-admin")
@click.option("--email", prompt=True, help="Address to sign in with.")
@click.option("--name", default="", help="Name shown to others.")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when not given.")
@click.pass_context
def create_admin(context: click.Context, email: str, name: str, password: str) -> None:
    """Create an administrator."""
    service = ready_service(context)
    identity = service.parts
    try:
        checked = registration.checked_password(password, minimum=identity.settings.password_minimum)
        password_hash = identity.passwords.hash(checked)
        with service.units.write() as uow:
            user = registration.register(uow, email, name, password_hash, role=Role.ADMIN, by="create-admin")
    except ServiceError as error:
        raise click.ClickException(error.message) from error
    click.echo(json.dumps({"id": str(user.id), "number": user.number, "email": user.email}))


@click.command("import-users")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where rejected rows go with line and reason; FILE.rejects.csv unless given.",
)
@click.pass_context
def import_users(context: click.Context, file: Path, rejects: Path | None) -> None:
    """Import users from a CSV file.

    It knows the columns email, name, role, created_at, last_login_at, is_active and password_hash, in any order, and
    passes over others. Users that exist already are left as they are.
    """
    service = ready_service(context)
    rejects = rejects or file.with_name(f"{file.name}.rejects.csv")
    if rejects.exists() and rejects.samefile(file):
        raise click.BadParameter("The rejects would replace the file itself.", param_hint="--rejects")
    progress = Progress()
    try:
        tally = importing.import_users(service.units, file, rejects, progress=progress)
    except Rejected as reason:
        click.echo(str(reason), err=True)
        sys.exit(UNUSABLE_FILE)
    except ServiceError as error:
        raise click.ClickException(f"{error.message} What is in stays in; run it again.") from error
    progress.finish(tally)
    summary: dict[str, Any] = {
        "read": tally.read,
        "imported": tally.imported,
        "existing": tally.existing,
        "rejected": tally.rejected,
        "rejects_file": str(rejects) if tally.rejected else None,
        "seconds": progress.seconds,
    }
    click.echo(json.dumps(summary))


class Progress:
    """Shows on standard error how far an import is, about twice a second."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown = 0.0

    def __call__(self, tally: importing.Tally) -> None:
        if time.monotonic() - self._shown > 0.5:
            self._show(tally, end="\r")

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._started, 2)

    def finish(self, tally: importing.Tally) -> None:
        self._show(tally, end="\n")

    def _show(self, tally: importing.Tally, end: str) -> None:
        self._shown = time.monotonic()
        rate = tally.read / max(self._shown - self._started, 0.001)
        line = (
            f"{tally.read:,} read, {tally.imported:,} imported, {tally.existing:,} existing, "
            f"{tally.rejected:,} rejected, {rate:,.0f} rows/s"
        )
        click.echo(f"{line:<100}", err=True, nl=False)
        click.echo(end, err=True, nl=False)
