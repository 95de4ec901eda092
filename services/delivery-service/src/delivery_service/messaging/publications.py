"""From a change to its contract; the only place where this service builds events."""

from datetime import datetime

import event_contracts as contracts
from delivery_service.model.mail import Mail
from service_chassis.messaging.envelope import Outgoing


def notification_delivered(mail: Mail, *, at: datetime) -> Outgoing:
    return Outgoing(
        contracts.NotificationDelivered(
            notification_id=mail.id, user_id=mail.user_id, channel="email", attempts=mail.attempts, delivered_at=at
        )
    )


def notification_failed(mail: Mail, *, at: datetime) -> Outgoing:
    return Outgoing(
        contracts.NotificationFailed(
            notification_id=mail.id,
            user_id=mail.user_id,
            channel="email",
            attempts=mail.attempts,
            reason=mail.reason or "",
            failed_at=at,
        )
    )


def push_failed(wanted: contracts.NotificationReady, reason: str, *, at: datetime) -> Outgoing:
    return Outgoing(
        contracts.NotificationFailed(
            notification_id=wanted.notification_id,
            user_id=wanted.user_id,
            channel="push",
            attempts=0,
            reason=reason,
            failed_at=at,
        )
    )
