"""What users see of their sessions, and how they end them."""

from datetime import timedelta
from uuid import UUID

from user_service.model.errors import SessionNotFound
from user_service.persistence.unit_of_work import UnitOfWork


def end(uow: UnitOfWork, session_id: UUID, *, of: UUID, tokens_live: timedelta) -> None:
    """End one of a user's sessions; its tokens are refused everywhere within seconds. Raises SessionNotFound."""
    session = uow.sessions.get(session_id)
    if session is None or session.user_id != of or not session.is_live(at=uow.now):
        raise SessionNotFound
    uow.sessions.end(session_id, reason="revoked", at=uow.now, tokens_live=tokens_live)


def end_others(uow: UnitOfWork, user_id: UUID, current: UUID | None, *, tokens_live: timedelta) -> int:
    """End all of a user's sessions but the current one; return how many."""
    return uow.sessions.end_all([user_id], reason="revoked", at=uow.now, tokens_live=tokens_live, but=current)
