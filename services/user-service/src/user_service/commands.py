"""The service's own commands."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import msgspec

from service_chassis.cli import ready_service
from service_chassis.errors import ServiceError
from user_service.model.import_row import Rejected
from user_service.model.service_client import Scope
from user_service.model.user import Role
from user_service.usecases import accounts, erasure, export, importing, registration, service_clients, signing_keys

UNUSABLE_FILE = 65
"""Exit code of a file that is no import file at all, EX_DATAERR of sysexits.h."""


@click.command("create-admin")
@click.option("--email", prompt=True, help="Address to sign in with.")
@click.option("--name", default="", help="Name shown to others.")
@click.option("--username", help="Another name to sign in with.")
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when not given.")
@click.pass_context
def create_admin(context: click.Context, email: str, name: str, username: str | None, password: str) -> None:
    """Create an administrator."""
    service = ready_service(context)
    identity = service.parts
    try:
        identity.password_policy.check(password, email)
        password_hash = identity.passwords.hash(password)
        with service.units.write() as uow:
            user = registration.register(
                uow, email, name, password_hash, role=Role.ADMIN, by="create-admin", username=username
            )
            user.email_verified_at = uow.now
    except ServiceError as error:
        raise click.ClickException(error.message) from error
    names = {"email": user.email, "username": user.username}
    click.echo(json.dumps({"id": str(user.id), "number": user.number, **names}))


@click.command("rotate-keys")
@click.pass_context
def rotate_keys(context: click.Context) -> None:
    """Publish the next key to sign tokens with; it is used as soon as every verifier knows it."""
    service = ready_service(context)
    if service.runtime.token_secret is not None:
        raise click.ClickException("Tokens are signed with JWT_SECRET; there is no key that another could follow.")
    with service.units.write() as uow:
        key = signing_keys.rotate(uow, service.parts.settings.key_encryption_secret)
    signs_from = key.created_at + signing_keys.LEAD
    click.echo(json.dumps({"kid": key.kid, "published_at": str(key.created_at), "signs_from": str(signs_from)}))


@click.command("create-client")
@click.argument("client_id")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(list(Scope)), help="What it may ask for; repeatable."
)
@click.pass_context
def create_client(context: click.Context, client_id: str, scopes: tuple[str, ...]) -> None:
    """Let a service call others in its own name; its secret is shown this once, and replaces an earlier one."""
    with ready_service(context).units.write() as uow:
        secret = service_clients.create(uow, client_id, [Scope(scope) for scope in scopes])
    click.echo(json.dumps({"client_id": client_id, "client_secret": secret.plain}))


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

    It knows the columns email, username, name, role, created_at, last_login_at, is_active and password_hash, in any
    order, and passes over others. Users that exist already are left as they are.
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


@click.command("show-account-token")
@click.argument("account_id", type=click.IntRange(min=1))
@click.pass_context
def show_account_token(context: click.Context, account_id: int) -> None:
    """Print the secret token of an account, which its history notes."""
    with _told(), ready_service(context).units.write() as uow:
        click.echo(str(accounts.read_token(uow, uow.accounts.get(account_id), by="show-account-token")))


@click.command("export-user")
@click.argument("user_id", type=click.UUID)
@click.pass_context
def export_user(context: click.Context, user_id: UUID) -> None:
    """Print everything that is kept about a user as JSON."""
    with _told(), ready_service(context).units.read() as uow:
        click.echo(msgspec.json.format(msgspec.json.encode(export.export(uow, user_id)), indent=2))


@click.command("purge-user")
@click.argument("user_id", type=click.UUID)
@click.option("--reason", default="", help="Kept in the history.")
@click.confirmation_option(prompt="The personal data of this user will be gone for good. Go on?")
@click.pass_context
def purge_user(context: click.Context, user_id: UUID, reason: str) -> None:
    """Erase the personal data of a user for good."""
    service = ready_service(context)
    tokens_live = service.parts.settings.access_token_lifetime
    with _told(), service.units.write() as uow:
        user = erasure.purge(uow, user_id, reason, by="purge-user", tokens_live=tokens_live)
        click.echo(json.dumps({"id": str(user.id), "number": user.number, "status": user.status}))


@click.command("consume_rabbitmq")
@click.pass_context
def consume_rabbitmq(context: click.Context) -> None:
    """Consume notification requests, until told to stop; another name of `worker`, which does so beside its work."""
    group = context.find_root().command
    if isinstance(group, click.Group):
        context.invoke(group.commands["worker"])


@contextmanager
def _told() -> Iterator[None]:
    """Tell what went wrong as a command does."""
    try:
        yield
    except ServiceError as error:
        raise click.ClickException(error.message) from error


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
