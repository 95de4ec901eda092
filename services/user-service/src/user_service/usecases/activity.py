"""Activity: one definition, owned here, and the watermark that says how far the others have been told."""

from datetime import timedelta

from user_service.messaging import publications
from user_service.model.user import Signal, User
from user_service.persistence.unit_of_work import UnitOfWork

HOUR = timedelta(hours=1)
"""How often refreshes of one user are told to the other services."""
MINUTE = timedelta(minutes=1)
"""How exactly refreshes are noted here, where everything they decide is counted in days."""


def seen(uow: UnitOfWork, user: User, signal: Signal) -> None:
    """Note that a user did something, and tell the others at the first time in each hour of the clock."""
    if signal is Signal.REFRESH and uow.now - user.last_activity_at < MINUTE:
        return
    told = uow.now - user.last_activity_at < HOUR and uow.now.hour == user.last_activity_at.hour
    user.is_seen(at=uow.now)
    if signal is Signal.SIGN_IN or not told:
        uow.publish(publications.activity_recorded(user.id, signal, uow.now))


def emit_watermark(uow: UnitOfWork) -> None:
    """Say that everything committed before now has gone into the outbox before this event."""
    uow.publish(publications.watermark(uow.now))
