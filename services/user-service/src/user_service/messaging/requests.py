"""What outside producers put on the notification queues, and how those queues are declared.

The form and the declarations are those of the system the producers come from, so that they can stay as they are.
"""

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec

from service_chassis.messaging.envelope import Event
from service_chassis.messaging.foreign import DeadLetters, ForeignQueue
from service_chassis.retry import Backoff
from user_service.model.notification import DEFAULT_PRIORITY, LARGEST_PRIORITY, Channel
from user_service.persistence.unit_of_work import UnitOfWork
from user_service.usecases import notifications
from user_service.usecases.notifications import Wanted

DEAD = DeadLetters(exchange="notifications.dlx", key="failed", queue="failed.queue")
ATTEMPTS = Backoff(first=timedelta(seconds=2), factor=2, attempts=3)

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class NotificationRequested(msgspec.Struct, frozen=True, kw_only=True):
    """A message on `email.queue` or `push.queue`."""

    type: ClassVar[str] = "notification.requested"
    exchange: ClassVar[str] = "notifications.direct"

    notification_type: Literal["email", "push"]
    user_id: UUID
    template_code: Text
    variables: dict[str, Any] = {}
    request_id: Text | None = None
    priority: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_PRIORITY)] = DEFAULT_PRIORITY
    metadata: dict[str, Any] | None = None

    @property
    def scope(self) -> str:
        """As where it is asked for by HTTP: one name may stand for a request to each user by each channel."""
        return f"{self.user_id}:{self.notification_type}"


def notification_queues(prefetch: int) -> list[ForeignQueue]:
    return [
        ForeignQueue(
            name=f"{channel}.queue",
            key=channel,
            form=NotificationRequested,
            handler=_request,
            dead=DEAD,
            prefetch=prefetch,
            backoff=ATTEMPTS,
            arguments=(("x-max-priority", LARGEST_PRIORITY),),
        )
        for channel in Channel
    ]


def _request(event: Event, uow: UnitOfWork) -> None:
    asked: NotificationRequested = event.data
    wanted = Wanted(
        channel=Channel(asked.notification_type),
        user_id=asked.user_id,
        template_code=asked.template_code,
        variables=asked.variables,
        priority=asked.priority,
        request_id=asked.request_id,
        metadata=asked.metadata or {},
    )
    notifications.request_from_outside(uow, wanted)
