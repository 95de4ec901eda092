"""What delivery-service says about what it was given to deliver."""

from uuid import UUID

from event_contracts.contract import Audience, Contract, Instant, Kind
from event_contracts.notifications import Channel


class FromDeliveryService(Contract, frozen=True, kw_only=True):
    """What only delivery-service may emit."""

    exchange = "delivery.events"
    source = "/delivery-service"


class NotificationOutcome(FromDeliveryService, frozen=True, kw_only=True):
    """How the delivery of a notification has ended; `user_id` is null for somebody who is no user."""

    kind = Kind.FACT
    audience = Audience.INTERNAL

    notification_id: UUID
    user_id: UUID | None
    channel: Channel
    attempts: int

    @property
    def subject(self) -> str:
        """The notification's id."""
        return str(self.notification_id)


class NotificationDelivered(NotificationOutcome, frozen=True, kw_only=True):
    """The next server on the way has taken a notification over; an e-mail may still come back from further on."""

    type = "notification.delivered.v1"

    delivered_at: Instant


class NotificationFailed(NotificationOutcome, frozen=True, kw_only=True):
    """A notification reaches nobody, and is not tried again.

    `reason` is a stable code, such as `mail_refused`, `template_not_found` or `push_not_configured`.
    """

    type = "notification.failed.v1"

    reason: str
    failed_at: Instant
