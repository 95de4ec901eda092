"""Invitations to accounts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from service_chassis.database.paging import Page, Paging, descending, fetch_page
from service_chassis.database.statements import changed, delete_some
from user_service.model.errors import InvitationNotFound
from user_service.model.invitation import Invitation


class InvitationRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, invitation: Invitation) -> Invitation:
        """Add an invitation; one that is still open for the same address and account is replaced by it."""
        self._session.execute(
            update(Invitation)
            .where(
                Invitation.account_id == invitation.account_id,
                Invitation.email == invitation.email,
                Invitation.accepted_at.is_(None),
                Invitation.revoked_at.is_(None),
            )
            .values(revoked_at=invitation.created_at)
            .execution_options(synchronize_session=False)
        )
        self._session.add(invitation)
        return invitation

    def most_sent_since(self, since: datetime, *, of: int, by: UUID) -> int:
        """Return how many invitations of an account, or by somebody to any, went out since an instant: the larger."""
        return max(self._sent(since, Invitation.account_id == of), self._sent(since, Invitation.invited_by == by))

    def page(self, account_id: int, paging: Paging) -> Page[Invitation]:
        """Return a piece of an account's invitations, newest first."""
        chosen = select(Invitation).where(Invitation.account_id == account_id)
        return fetch_page(self._session, chosen, descending(Invitation.id), paging)

    def locked(self, account_id: int, invitation_id: UUID) -> Invitation:
        """Return an invitation of an account. Raises InvitationNotFound."""
        chosen = (Invitation.id == invitation_id) & (Invitation.account_id == account_id)
        return _found(self._session.scalar(select(Invitation).where(chosen).with_for_update()))

    def account_of(self, digest: bytes) -> int:
        """Return the account a token invites to. Raises InvitationNotFound."""
        account_id = self._session.scalar(select(Invitation.account_id).where(Invitation.token_digest == digest))
        if account_id is None:
            raise InvitationNotFound
        return account_id

    def by_token(self, digest: bytes) -> Invitation:
        """Return the invitation a token belongs to, locked, so that it is used once. Raises InvitationNotFound."""
        chosen = select(Invitation).where(Invitation.token_digest == digest).with_for_update()
        return _found(self._session.scalar(chosen.execution_options(populate_existing=True)))

    def revoke_all_of(self, account_id: int, *, at: datetime) -> int:
        """Take back what is still open for an account."""
        return self._revoke(Invitation.account_id == account_id, at)

    def revoke_all_by(self, user_id: UUID, *, at: datetime) -> int:
        """Take back what somebody has sent and is still open."""
        return self._revoke(Invitation.invited_by == user_id, at)

    def forget(self, email: str) -> None:
        """Delete what was sent to an address."""
        gone = delete(Invitation).where(Invitation.email == email)
        self._session.execute(gone.execution_options(synchronize_session=False))

    def forget_ended(self, before: datetime) -> bool:
        """Delete what was accepted, taken back or had expired before an instant; say whether there may be more."""
        ended_at = func.coalesce(Invitation.accepted_at, Invitation.revoked_at, Invitation.expires_at)
        # What ended before it was also made before, which an index knows.
        return delete_some(self._session, Invitation.id, (Invitation.created_at < before) & (ended_at < before))

    def to_address(self, email: str) -> list[Invitation]:
        return list(self._session.scalars(select(Invitation).where(Invitation.email == email).order_by(Invitation.id)))

    def _revoke(self, chosen: ColumnElement[bool], at: datetime) -> int:
        still_open = Invitation.accepted_at.is_(None) & Invitation.revoked_at.is_(None)
        statement = update(Invitation).where(chosen & still_open).values(revoked_at=at)
        return changed(self._session, statement.execution_options(synchronize_session=False))

    def _sent(self, since: datetime, chosen: ColumnElement[bool]) -> int:
        return self._session.scalar(select(func.count()).where(chosen, Invitation.created_at > since)) or 0


def _found(invitation: Invitation | None) -> Invitation:
    if invitation is None:
        raise InvitationNotFound
    return invitation
