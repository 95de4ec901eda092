"""The feed of ended sessions, by which every verifier learns within seconds which tokens are void."""

from datetime import UTC, datetime, timedelta

from service_chassis.errors import Invalid
from service_chassis.revocation import Entry, Feed
from service_chassis.tokens import Principal
from service_chassis.unit_of_work import Units
from user_service.persistence.unit_of_work import UnitOfWork

OVERLAP = timedelta(seconds=90)
"""How far each answer reaches back behind the last one: longer than any transaction lives, because rows become
visible when they are committed, not when they are written."""


class EndedSessions:
    """Tells which sessions have ended from the database itself, so that an ended one is refused at once."""

    age = 0.0
    fresh = True

    def __init__(self, units: Units[UnitOfWork]) -> None:
        self._units = units

    def is_revoked(self, principal: Principal) -> bool:
        if principal.session_id is None:
            return False
        with self._units.ask() as uow:
            return uow.sessions.has_ended(principal.session_id)


class InvalidPosition(Invalid):
    """This is no position in the feed."""

    code = "invalid_cursor"


def feed(uow: UnitOfWork, after: str | None) -> Feed:
    """Return the sessions ended since the last answer, some of them again. Raises InvalidPosition."""
    since = None if after is None else _overlapping(after)
    entries = uow.sessions.revocations(since, uow.now)
    return Feed([Entry(session_id, expires_at) for session_id, expires_at in entries], uow.now.isoformat())


def forget(uow: UnitOfWork) -> bool:
    """Delete what no verifier needs any more: entries whose tokens are dead, sessions that are long over.

    A piece of it at a time; say whether there may be more.
    """
    more_revocations = uow.sessions.forget_revocations(uow.now)
    more_sessions = uow.sessions.forget_ended(uow.now - timedelta(days=7))
    return more_revocations or more_sessions


def _overlapping(position: str) -> datetime:
    try:
        instant = datetime.fromisoformat(position)
        if instant.tzinfo is None:
            raise InvalidPosition
        return instant.astimezone(UTC) - OVERLAP
    except (ValueError, OverflowError) as error:
        raise InvalidPosition from error
