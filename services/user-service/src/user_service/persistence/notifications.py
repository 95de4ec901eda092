"""Notifications: what was asked for, and how far it has come."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service_chassis.database.paging import Page, Paging, descending, fetch_page
from service_chassis.database.statements import delete_some
from user_service.model.errors import NotificationNotFound
from user_service.model.notification import Notification


@dataclass(frozen=True, slots=True)
class NotificationFilter:
    """Which notifications a list holds; what is None does not restrict."""

    user_id: UUID | None = None
    status: str | None = None
    channel: str | None = None


class NotificationRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, notification: Notification) -> Notification:
        self._session.add(notification)
        return notification

    def get(self, notification_id: UUID) -> Notification:
        """Return a notification. Raises NotificationNotFound."""
        return _found(self._session.get(Notification, notification_id))

    def locked(self, notification_id: UUID, channel: str) -> Notification:
        """Return a notification of a channel, to be changed. Raises NotificationNotFound."""
        chosen = (Notification.id == notification_id) & (Notification.channel == channel)
        return _found(self._session.scalar(select(Notification).where(chosen).with_for_update()))

    def by_request(self, user_id: UUID, channel: str, request_id: str) -> Notification | None:
        """Return what a producer asked for before under the same name."""
        same = (Notification.user_id == user_id) & (Notification.channel == channel)
        return self._session.scalar(select(Notification).where(same, Notification.request_id == request_id))

    def page(self, chosen: NotificationFilter, paging: Paging) -> Page[Notification]:
        """Return a piece of the list, newest first."""
        statement = select(Notification)
        for column, value in (
            (Notification.user_id, chosen.user_id),
            (Notification.status, chosen.status),
            (Notification.channel, chosen.channel),
        ):
            if value is not None:
                statement = statement.where(column == value)
        return fetch_page(self._session, statement, descending(Notification.id), paging)

    def to_user(self, user_id: UUID) -> list[Notification]:
        chosen = select(Notification).where(Notification.user_id == user_id)
        return list(self._session.scalars(chosen.order_by(Notification.id)))

    def forget_contents(self, user_id: UUID, email: str) -> None:
        """Erase what notifications told a user, also before it was one; that there were some stays."""
        erased: dict[str, Any] = {"variables": {}, "details": {}, "reason": None, "request_id": None}
        # What went to an address alone names it where a mail server's answer does.
        named = Notification.user_id.is_(None) & Notification.reason.icontains(email, autoescape=True)
        theirs = update(Notification).where((Notification.user_id == user_id) | named).values(erased)
        self._session.execute(theirs.execution_options(synchronize_session=False))

    def forget(self, before: datetime) -> bool:
        """Delete what was asked for before an instant."""
        return delete_some(self._session, Notification.id, Notification.created_at < before)


def _found(notification: Notification | None) -> Notification:
    if notification is None:
        raise NotificationNotFound
    return notification
