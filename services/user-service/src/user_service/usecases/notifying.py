"""What this service itself has to tell people: mails about their account, which nobody can opt out of."""

from uuid import UUID

from user_service.messaging import publications
from user_service.model.notification import Channel, Notification
from user_service.model.user import User
from user_service.persistence.unit_of_work import UnitOfWork


def notify(
    uow: UnitOfWork,
    user: User,
    template: str,
    variables: dict[str, str],
    *,
    secrets: dict[str, str] | None = None,
    to: str | None = None,
) -> None:
    """Have a mail sent to a user, or to another address of theirs that they are about to take.

    Secrets, such as a reset token, leave this transaction sealed, and are kept in no row.
    """
    _send(uow, template, variables, secrets or {}, user_id=user.id, recipient=to or user.email, name=user.name)


def notify_address(
    uow: UnitOfWork, email: str, template: str, variables: dict[str, str], *, secrets: dict[str, str]
) -> None:
    """Have a mail sent to somebody who may be no user yet."""
    _send(uow, template, variables, secrets, user_id=None, recipient=email, name="")


def _send(
    uow: UnitOfWork,
    template: str,
    variables: dict[str, str],
    secrets: dict[str, str],
    *,
    user_id: UUID | None,
    recipient: str,
    name: str,
) -> None:
    notification = uow.notifications.add(
        Notification.new(user_id, Channel.EMAIL, template, variables, at=uow.now, correlation_id=uow.correlation_id)
    )
    sealed = uow.seals.notifications.close(secrets) if secrets else None
    uow.publish(publications.notification_ready(notification, recipient, name, sealed_variables=sealed))
