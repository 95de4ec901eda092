"""Sends what is due, one mail after the other, in a thread of a worker; workers share the work."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Protocol
from uuid import UUID

from cryptography.fernet import InvalidToken

from delivery_service.mailing.message import Sender
from delivery_service.mailing.templates import Templates
from delivery_service.model.errors import SealBroken
from delivery_service.model.mail import Mail
from delivery_service.persistence.unit_of_work import UnitOfWork
from delivery_service.usecases import mails
from service_chassis import correlation
from service_chassis.errors import ServiceError
from service_chassis.logs import Log
from service_chassis.sealing import Seal
from service_chassis.unit_of_work import Units

LOOK_EVERY = 1.0
ACCOUNT_MAILS = frozenset(
    {
        "account_invitation",
        "already_registered",
        "email_change",
        "email_change_notice",
        "email_changed",
        "password_changed",
        "password_reset",
        "verify_email",
    }
)
"""What is about somebody's account, which nobody can opt out of."""


class Transport(Protocol):
    def send(self, mail_id: UUID, message: EmailMessage, /) -> None:
        """Hand a mail over. Raises MailRefused, MailPostponed."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Mailer:
    units: Units[UnitOfWork]
    templates: Templates
    seal: Seal
    sender: Sender
    transport: Transport
    schedule: Sequence[timedelta]
    log: Log
    stop: threading.Event

    def run(self, tick: Callable[[], None]) -> None:
        """Send until stopped."""
        try:
            while not self.stop.is_set():
                tick()
                if not self.step():
                    self.transport.close()
                    self.stop.wait(LOOK_EVERY)
        finally:
            self.transport.close()

    def step(self) -> bool:
        """Make one attempt at one mail; say whether there was one that was due."""
        with self.units.ask() as uow:
            if not uow.mails.any_due(uow.now):
                return False
        with self.units.write() as uow:
            mail = mails.begin(uow)
            if mail is None:
                return False
            uow.session.flush()
            uow.session.expunge(mail)
        self._attempt(mail)
        return True

    def _attempt(self, mail: Mail) -> None:
        ids = correlation.Correlation(mail.correlation_id) if mail.correlation_id else correlation.fresh()
        with correlation.correlated(ids):
            error = self._sent(mail)
            # Before anything else: whatever is not noted is sent once more.
            with self.units.write() as uow:
                mails.report(uow, mail.id, error, self.schedule)
            self.log.info("mail_attempted", mail_id=str(mail.id), attempt=mail.attempts, error=error and error.code)

    def _sent(self, mail: Mail) -> ServiceError | None:
        try:
            self.transport.send(mail.id, self._message(mail))
        except ServiceError as error:
            return error
        return None

    def _message(self, mail: Mail) -> EmailMessage:
        key = self.templates.find(mail.template_code, mail.language)
        content = self.templates.render(key, {"name": mail.name, **mail.variables, **self._secrets(mail)})
        optional = mail.template_code not in ACCOUNT_MAILS
        now = self.units.clock.now()
        return self.sender.message(mail.id, mail.recipient, mail.name, content, at=now, optional=optional)

    def _secrets(self, mail: Mail) -> dict[str, str]:
        if mail.sealed_variables is None:
            return {}
        try:
            return dict(self.seal.open(mail.sealed_variables))
        except InvalidToken as error:
            raise SealBroken from error
