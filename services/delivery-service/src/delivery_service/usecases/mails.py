"""Mails that others ask for: taken in, attempted, and reported."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from delivery_service.mailing.folder import MailFolder
from delivery_service.mailing.templates import DEFAULT_LANGUAGE
from delivery_service.messaging import publications
from delivery_service.model.errors import MailPostponed
from delivery_service.model.mail import Mail, MailStatus
from delivery_service.persistence.unit_of_work import UnitOfWork
from event_contracts import NotificationReady
from service_chassis import correlation
from service_chassis.errors import ServiceError
from service_chassis.messaging.envelope import Event

KEPT = timedelta(days=7)
NO_PUSH = "push_not_configured"


def accept(uow: UnitOfWork, event: Event) -> None:
    """Take a notification in; a push message is reported as failed, because nothing here can send it yet."""
    wanted: NotificationReady = event.data
    if wanted.channel == "push":
        uow.publish(publications.push_failed(wanted, NO_PUSH, at=uow.now))
        return
    if uow.mails.get(wanted.notification_id) is not None:
        return
    ids = correlation.current()
    uow.mails.add(
        Mail(
            id=wanted.notification_id,
            user_id=wanted.user_id,
            recipient=wanted.recipient,
            name=wanted.name,
            template_code=wanted.template_code,
            language=str(wanted.metadata.get("language") or DEFAULT_LANGUAGE),
            variables=wanted.variables,
            sealed_variables=wanted.sealed_variables,
            priority=wanted.priority,
            status=MailStatus.PENDING,
            attempts=0,
            next_attempt_at=uow.now,
            correlation_id=ids.correlation_id if ids else None,
            requested_at=uow.now,
        )
    )


def begin(uow: UnitOfWork) -> Mail | None:
    """Begin an attempt at the most urgent mail that is due, if there is one."""
    mail = uow.mails.next_due(uow.now)
    if mail is not None:
        mail.begin_attempt(at=uow.now)
    return mail


def report(uow: UnitOfWork, mail_id: UUID, error: ServiceError | None, schedule: Sequence[timedelta]) -> Mail | None:
    """Note how an attempt ended, and tell of the end of a mail; one that has an end or was erased stays as it is."""
    mail = uow.mails.locked(mail_id)
    if mail is None or not mail.is_pending:
        return mail
    if error is None:
        mail.deliver(at=uow.now)
        uow.publish(publications.notification_delivered(mail, at=uow.now))
    elif isinstance(error, MailPostponed):
        mail.postpone(error.code, error.message, schedule, at=uow.now)
    else:
        mail.fail(error.code, error.message, at=uow.now)
    if mail.status == MailStatus.FAILED:
        uow.publish(publications.notification_failed(mail, at=uow.now))
    return mail


def purge(uow: UnitOfWork, user_id: UUID, folder: MailFolder) -> None:
    """Leave nothing of the mails to a user, nor of their files."""
    erased = uow.mails.purge(user_id)
    uow.after_commit(lambda: folder.remove(erased))


def forget(uow: UnitOfWork, folder: MailFolder) -> bool:
    """Delete mails nobody looks for any more; say whether there may be more."""
    folder.forget(uow.now - KEPT)
    return uow.mails.forget(uow.now - KEPT)
