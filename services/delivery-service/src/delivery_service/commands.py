"""The service's own commands."""

import json
from typing import Any
from uuid import UUID

import click

from delivery_service.model.mail import Mail
from service_chassis.cli import ready_service


@click.group("mail")
def mail() -> None:
    """Look at mails and how far they are."""


@mail.command("list")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_context
def list_mails(context: click.Context, *, limit: int) -> None:
    """Print the latest mails, newest first, one JSON object a line."""
    with ready_service(context).units.read() as uow:
        for one in uow.mails.latest(limit):
            click.echo(json.dumps(_shown(one)))


@mail.command("show")
@click.argument("mail_id", type=click.UUID)
@click.pass_context
def show_mail(context: click.Context, mail_id: UUID) -> None:
    """Print one mail; where mails are files, with its text."""
    service = ready_service(context)
    with service.units.read() as uow:
        found = uow.mails.get(mail_id)
        if found is None:
            raise click.ClickException(f"There is no mail {mail_id}.")
        click.echo(json.dumps(_shown(found)))
    text = service.parts.folder.text(mail_id)
    if text is not None:
        click.echo(f"\n{text}")


def _shown(mail: Mail) -> dict[str, Any]:
    return {
        "id": str(mail.id),
        "to": mail.recipient,
        "template_code": mail.template_code,
        "status": mail.status,
        "attempts": mail.attempts,
        "reason": mail.reason,
        "answer": mail.answer,
        "requested_at": mail.requested_at.isoformat(),
        "next_attempt_at": mail.next_attempt_at.isoformat() if mail.is_pending else None,
        "settled_at": mail.settled_at and mail.settled_at.isoformat(),
    }
