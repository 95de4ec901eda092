"""Mails: those that are due, and those somebody looks for."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from delivery_service.model.mail import Mail, MailStatus
from service_chassis.database.statements import delete_some


class MailRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, mail: Mail) -> Mail:
        self._session.add(mail)
        return mail

    def any_due(self, at: datetime) -> bool:
        due = (Mail.status == MailStatus.PENDING) & (Mail.next_attempt_at <= at)
        return self._session.scalar(select(Mail.id).where(due).limit(1)) is not None

    def next_due(self, at: datetime) -> Mail | None:
        """Return the most urgent mail that is due and that nobody else has in hand, locked."""
        due = (Mail.status == MailStatus.PENDING) & (Mail.next_attempt_at <= at)
        urgent = select(Mail).where(due).order_by(Mail.priority.desc(), Mail.next_attempt_at).limit(1)
        return self._session.scalar(urgent.with_for_update(skip_locked=True))

    def locked(self, mail_id: UUID) -> Mail | None:
        """Return a mail to be changed, or None when it has been erased meanwhile."""
        return self._session.scalar(select(Mail).where(Mail.id == mail_id).with_for_update())

    def latest(self, limit: int) -> Sequence[Mail]:
        return list(self._session.scalars(select(Mail).order_by(Mail.id.desc()).limit(limit)))

    def get(self, mail_id: UUID) -> Mail | None:
        return self._session.get(Mail, mail_id)

    def purge(self, user_id: UUID) -> Sequence[UUID]:
        """Delete the mails to a user, and return their ids."""
        theirs = delete(Mail).where(Mail.user_id == user_id).returning(Mail.id)
        return list(self._session.scalars(theirs.execution_options(synchronize_session=False)))

    def forget(self, before: datetime) -> bool:
        """Delete mails that were asked for before an instant; say whether there may be more."""
        return delete_some(self._session, Mail.id, Mail.requested_at < before)
