"""The states this service owns, as it hands them out to those who hold projections of them."""

from typing import Any

from sqlalchemy import Row

from service_chassis.messaging.envelope import Outgoing
from service_chassis.snapshots.rows import Rows
from service_chassis.snapshots.source import Source
from user_service.messaging import publications
from user_service.model.account import Account
from user_service.model.user import Status, User


def _user(row: Row[Any]) -> Outgoing:
    if row.status == Status.PURGED:
        return publications.user_purged(row, row.purged_at)
    return publications.user_updated(row)


def _account(row: Row[Any]) -> Outgoing:
    if row.deleted_at is not None:
        return publications.account_deleted(row, row.deleted_at)
    return publications.account_updated(row)


SOURCES = (
    Source(
        "users",
        Rows(User.id, User.version),
        [
            User.id,
            User.number,
            User.email,
            User.name,
            User.username,
            User.role,
            User.status,
            User.registered_at,
            User.last_activity_at,
            User.reactivated_at,
            User.deactivated_at,
            User.deactivation_reason,
            User.purged_at,
            User.version,
        ],
        _user,
    ),
    Source(
        "accounts",
        Rows(Account.id, Account.version),
        [
            Account.id,
            Account.name,
            Account.website,
            Account.token_hash,
            Account.previous_token_hash,
            Account.previous_token_until,
            Account.created_at,
            Account.deleted_at,
            Account.version,
        ],
        _account,
    ),
)
