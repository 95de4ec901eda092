"""From a change to its contract; the only place where this service builds events."""

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import event_contracts as contracts
from service_chassis.messaging.envelope import Event, Outgoing
from user_service.model.account import Account
from user_service.model.membership import AccountRole, Membership
from user_service.model.notification import Channel, Notification
from user_service.model.user import Reason, Signal, Status, User


def user_registered(user: Any) -> Outgoing:
    """Tell of a new user; takes the entity or a row of the same columns."""
    event = contracts.UserRegistered(**_state(user), **_names(user))
    return Outgoing(event, version=user.version)


def user_imported(row: Mapping[str, Any], number: int) -> Outgoing:
    """Tell of a user inserted from a row of an import."""
    return user_registered(SimpleNamespace(**row, number=number))


def user_deactivated(user: Any, actor_id: UUID | None) -> Outgoing:
    return Outgoing(contracts.UserDeactivated(**_state(user), actor_id=actor_id), version=user.version)


def user_reactivated(user: Any, actor_id: UUID | None) -> Outgoing:
    return Outgoing(contracts.UserReactivated(**_state(user), actor_id=actor_id), version=user.version)


def user_deactivated_by_run(user: Any, run_id: UUID, at: datetime, cause: Event) -> Outgoing:
    """Tell of a deactivation from the row as it was before, which spares reading all rows a second time."""
    state = _state(user) | {
        "status": Status.DEACTIVATED.value,
        "deactivated_at": at,
        "deactivation_reason": Reason.INACTIVITY.value,
    }
    return Outgoing(contracts.UserDeactivated(**state, run_id=run_id), version=user.version + 1, cause=cause)


def user_was_deactivated_by_run(user: Any, run_id: UUID, cause: Event) -> Outgoing:
    """Tell once more of a deactivation, to a run that asks again."""
    return Outgoing(contracts.UserDeactivated(**_state(user), run_id=run_id), version=user.version, cause=cause)


def deactivation_refused(user_id: UUID, run_id: UUID, reason: Any, at: datetime, cause: Event) -> Outgoing:
    event = contracts.UserDeactivationRefused(user_id=user_id, run_id=run_id, reason=reason, refused_at=at)
    return Outgoing(event, cause=cause)


def activity_recorded(user_id: UUID, signal: Signal, at: datetime) -> Outgoing:
    return Outgoing(contracts.UserActivityRecorded(user_id=user_id, at=at, signal=signal.value))


def watermark(as_of: datetime) -> Outgoing:
    return Outgoing(contracts.UserWatermark(as_of=as_of))


def user_updated(user: User) -> Outgoing:
    return Outgoing(contracts.UserUpdated(**_state(user), **_names(user)), version=user.version)


def user_purged(user: User, at: datetime, run_id: UUID | None = None) -> Outgoing:
    return Outgoing(contracts.UserPurged(user_id=user.id, purged_at=at, run_id=run_id), version=user.version)


def account_created(account: Account) -> Outgoing:
    return Outgoing(contracts.AccountCreated(**_account(account)), version=account.version)


def account_updated(account: Account) -> Outgoing:
    return Outgoing(contracts.AccountUpdated(**_account(account)), version=account.version)


def account_deleted(account: Account, at: datetime) -> Outgoing:
    return Outgoing(contracts.AccountDeleted(account_id=account.id, deleted_at=at), version=account.version)


def membership_granted(membership: Membership) -> Outgoing:
    event = contracts.MembershipGranted(
        account_id=membership.account_id,
        user_id=membership.user_id,
        role=1 if membership.role == AccountRole.ADMIN else 2,
        granted_at=membership.granted_at,
    )
    return Outgoing(event, version=membership.version)


def membership_revoked(membership: Membership, at: datetime) -> Outgoing:
    event = contracts.MembershipRevoked(account_id=membership.account_id, user_id=membership.user_id, revoked_at=at)
    return Outgoing(event, version=membership.version)


def notification_ready(
    notification: Notification, recipient: str, name: str, *, sealed_variables: str | None = None
) -> Outgoing:
    event = contracts.NotificationReady(
        notification_id=notification.id,
        user_id=notification.user_id,
        channel="push" if notification.channel == Channel.PUSH else "email",
        template_code=notification.template_code,
        recipient=recipient,
        name=name,
        variables=notification.variables,
        sealed_variables=sealed_variables,
        priority=notification.priority,
        request_id=notification.request_id,
        metadata=notification.details,
        requested_at=notification.created_at,
    )
    return Outgoing(event)


def _account(account: Account) -> dict[str, Any]:
    return {
        "account_id": account.id,
        "name": account.name,
        "website": account.website,
        "token_hash": account.token_hash,
        "previous_token_hash": account.previous_token_hash,
        "previous_token_until": account.previous_token_until,
        "created_at": account.created_at,
    }


def _names(user: Any) -> dict[str, Any]:
    return {"email": user.email, "name": user.name, "username": user.username}


def _state(user: Any) -> dict[str, Any]:
    return {
        "user_id": user.id,
        "number": user.number,
        "role": user.role,
        "status": user.status,
        "registered_at": user.registered_at,
        "last_activity_at": user.last_activity_at,
        "reactivated_at": user.reactivated_at,
        "deactivated_at": user.deactivated_at,
        "deactivation_reason": user.deactivation_reason,
    }
