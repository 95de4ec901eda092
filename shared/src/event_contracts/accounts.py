"""What user-service says about accounts and who belongs to them."""

from typing import Literal, TypeAlias
from uuid import UUID

from event_contracts.contract import Audience, Instant, Kind
from event_contracts.users import FromUserService

AccountRole: TypeAlias = Literal[1, 2]
"""1 is an Admin of the account, 2 a Normal user."""


class AccountState(FromUserService, frozen=True, kw_only=True):
    """The state of an account; of its secret token there are SHA-256 hashes, by which a token can be recognised.

    After a rotation the previous token is good until `previous_token_until`, too.
    """

    kind = Kind.STATE
    audience = Audience.INTERNAL

    account_id: int
    name: str
    website: str | None
    token_hash: str
    previous_token_hash: str | None
    previous_token_until: Instant | None
    created_at: Instant

    @property
    def subject(self) -> str:
        """The account's id."""
        return str(self.account_id)


class AccountCreated(AccountState, frozen=True, kw_only=True):
    """An account came into being; whoever belongs to it is told of by `membership.granted`."""

    type = "account.created.v1"


class AccountUpdated(AccountState, frozen=True, kw_only=True):
    """The name, website or token of an account changed.

    What the event carries replaces everything known of the account from an older version.
    """

    type = "account.updated.v1"


class AccountDeleted(FromUserService, frozen=True, kw_only=True):
    """An account was deleted for good; this is its tombstone.

    Its token is void, its memberships are revoked, and consumers erase what they hold of it.
    """

    type = "account.deleted.v1"
    kind = Kind.STATE
    audience = Audience.ACCOUNT

    account_id: int
    deleted_at: Instant

    @property
    def subject(self) -> str:
        """The account's id."""
        return str(self.account_id)


class MembershipEvent(FromUserService, frozen=True, kw_only=True):
    """Something about one user in one account."""

    kind = Kind.STATE
    audience = Audience.ACCOUNT

    account_id: int
    user_id: UUID

    @property
    def subject(self) -> str:
        """The ids of account and user."""
        return f"{self.account_id}:{self.user_id}"


class MembershipGranted(MembershipEvent, frozen=True, kw_only=True):
    """A user belongs to an account from now on, or has another role in it: 1 is Admin, 2 is Normal user."""

    type = "membership.granted.v1"

    role: AccountRole
    granted_at: Instant


class MembershipRevoked(MembershipEvent, frozen=True, kw_only=True):
    """A user no longer belongs to an account; this is the tombstone of the membership.

    Should the user come to belong to it again, that is told by a newer version of the same membership.
    """

    type = "membership.revoked.v1"

    revoked_at: Instant
