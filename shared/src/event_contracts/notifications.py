"""What is to be sent to people, once user-service has looked at it."""

from typing import Any, Literal, TypeAlias
from uuid import UUID

from event_contracts.contract import Audience, Instant, Kind
from event_contracts.users import FromUserService

Channel: TypeAlias = Literal["email", "push"]


class NotificationReady(FromUserService, frozen=True, kw_only=True):
    """A notification is complete and is to be sent: the user exists, wants it and can be reached.

    `recipient` is an e-mail address or a push token, as `channel` says, and `name` what the user is called. `user_id`
    is null for somebody who is no user yet, such as one who is invited to an account. `sealed_variables` holds further
    variables of the template that are secret, sealed for delivery-service, which is the only consumer that can open
    them. `request_id` is what the producer called the request, if it came from one.
    """

    type = "notification.ready.v1"
    kind = Kind.FACT
    audience = Audience.INTERNAL

    notification_id: UUID
    user_id: UUID | None
    channel: Channel
    template_code: str
    recipient: str
    name: str
    variables: dict[str, Any]
    sealed_variables: str | None
    priority: int
    request_id: str | None
    metadata: dict[str, Any]
    requested_at: Instant

    @property
    def subject(self) -> str:
        """The notification's id."""
        return str(self.notification_id)
