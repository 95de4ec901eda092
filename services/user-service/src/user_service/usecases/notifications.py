"""Notifications others ask for: checked against what the user wants, completed, and passed on for delivery."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from user_service.messaging import publications
from user_service.model.errors import SystemTemplate
from user_service.model.notification import (
    DEFAULT_PRIORITY,
    SYSTEM_TEMPLATES,
    Channel,
    Notification,
    Report,
    Skip,
)
from user_service.model.preferences import Wishes
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import throttling
from user_service.usecases.throttling import UNLIMITED, Attempt

KEPT = timedelta(days=90)
"""How long the list of notifications reaches back."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A notification as somebody asks for it; a `request_id` makes asking again harmless."""

    channel: Channel
    user_id: UUID
    template_code: str
    variables: dict[str, Any]
    priority: int = DEFAULT_PRIORITY
    request_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def request_from_outside(uow: UnitOfWork, wanted: Wanted, attempt: Attempt = UNLIMITED) -> Notification:
    """Pass on what others ask for, within what they may. Raises SystemTemplate, TooManyAttempts, UserNotFound."""
    if wanted.template_code.strip().lower() in SYSTEM_TEMPLATES:
        raise SystemTemplate
    throttling.counted(uow, attempt)
    return request(uow, wanted)


def request(uow: UnitOfWork, wanted: Wanted) -> Notification:
    """Pass a notification on, or note why the user does not get it. Raises UserNotFound."""
    user = uow.users.locked(wanted.user_id)
    if wanted.request_id is not None:
        known = uow.notifications.by_request(user.id, wanted.channel, wanted.request_id)
        if known is not None:
            return known
    notification = uow.notifications.add(_notification(uow, wanted))
    reason = _skip(user, uow.preferences.of(user.id), wanted.channel)
    if reason is not None:
        notification.skip(reason)
        return notification
    recipient = user.email if wanted.channel is Channel.EMAIL else str(user.push_token)
    uow.publish(publications.notification_ready(notification, recipient, user.name))
    return notification


def report(
    uow: UnitOfWork, channel: Channel, notification_id: UUID, outcome: Report, error: str | None
) -> Notification:
    """Note what became of a notification. Raises NotificationNotFound."""
    notification = uow.notifications.locked(notification_id, channel)
    notification.report(outcome, error, at=uow.now)
    return notification


def forget(uow: UnitOfWork) -> bool:
    """Delete notifications nobody looks for any more; say whether there may be more."""
    return uow.notifications.forget(uow.now - KEPT)


def _notification(uow: UnitOfWork, wanted: Wanted) -> Notification:
    return Notification.new(
        wanted.user_id,
        wanted.channel,
        wanted.template_code,
        wanted.variables,
        at=uow.now,
        correlation_id=uow.correlation_id,
        priority=wanted.priority,
        request_id=wanted.request_id,
        details=wanted.metadata,
    )


def _skip(user: User, wishes: Wishes, channel: Channel) -> Skip | None:
    if not user.is_active:
        return Skip.USER_INACTIVE
    if channel is Channel.EMAIL:
        return None if wishes.email else Skip.EMAIL_OFF
    if not wishes.push:
        return Skip.PUSH_OFF
    return None if user.push_token else Skip.NO_PUSH_TOKEN
