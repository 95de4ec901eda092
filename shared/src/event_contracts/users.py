"""What user-service says about users."""

from typing import Literal, TypeAlias
from uuid import UUID

from event_contracts.contract import Audience, Contract, Instant, Kind

Role: TypeAlias = Literal["admin", "manager", "user"]
Status: TypeAlias = Literal["active", "deactivated", "purged"]
Reason: TypeAlias = Literal["self", "inactivity", "missed_tasks", "admin"]
Signal: TypeAlias = Literal["sign_in", "refresh", "opaque_token", "invitation_accepted", "keep_alive", "reactivation"]
Refusal: TypeAlias = Literal["active_since_plan", "already_inactive", "exempt_role", "last_admin", "unknown_user"]


class FromUserService(Contract, frozen=True, kw_only=True):
    """What only user-service may emit."""

    exchange = "user.events"
    source = "/user-service"


class UserEvent(FromUserService, frozen=True, kw_only=True):
    """Something about one user."""

    user_id: UUID

    @property
    def subject(self) -> str:
        """The user's id."""
        return str(self.user_id)


class UserState(UserEvent, frozen=True, kw_only=True):
    """The public state of a user, without e-mail and name."""

    kind = Kind.STATE
    audience = Audience.PLATFORM

    number: int
    role: Role
    status: Status
    registered_at: Instant
    last_activity_at: Instant
    reactivated_at: Instant | None = None
    deactivated_at: Instant | None = None
    deactivation_reason: Reason | None = None


class UserRegistered(UserState, frozen=True, kw_only=True):
    """A user came into being, by registration, by an administrator or by import.

    The user exists from now on. Besides `user.updated` this is the only event of a user that carries e-mail and name.
    """

    type = "user.registered.v1"

    email: str
    name: str
    username: str | None = None


class UserUpdated(UserState, frozen=True, kw_only=True):
    """The e-mail, name or role of a user changed.

    What the event carries replaces everything known of the user from an older version.
    """

    type = "user.updated.v1"

    email: str
    name: str
    username: str | None = None


class UserActivityRecorded(UserEvent, frozen=True, kw_only=True):
    """A user did something that counts as activity: what, says `signal`.

    The user's latest activity is `at` or later, so a consumer keeps the greatest `at` it has seen.
    """

    type = "user.activity_recorded.v1"
    kind = Kind.FACT
    audience = Audience.INTERNAL

    at: Instant
    signal: Signal


class UserDeactivated(UserState, frozen=True, kw_only=True):
    """A user was switched off and can no longer sign in; nothing was deleted.

    `run_id` names the cleanup run that asked for it and `actor_id` the user who did it; both are null where a rule
    did, such as the one on missed tasks.
    """

    type = "user.deactivated.v1"

    run_id: UUID | None = None
    actor_id: UUID | None = None


class UserDeactivationRefused(UserEvent, frozen=True, kw_only=True):
    """A cleanup run asked for the deactivation of a user, and user-service left the user alone for `reason`.

    The run has its answer for this user, and the request changed nothing. The rule on missed tasks gets the same
    answer, with its `limit_id` as the `run_id`.
    """

    type = "user.deactivation_refused.v1"
    kind = Kind.FACT
    audience = Audience.INTERNAL

    run_id: UUID
    reason: Refusal
    refused_at: Instant


class UserReactivated(UserState, frozen=True, kw_only=True):
    """A user was switched on again and can sign in.

    `run_id` names the cleanup run that was undone, if that was why, and `actor_id` the user who did it.
    """

    type = "user.reactivated.v1"

    run_id: UUID | None = None
    actor_id: UUID | None = None


class UserPurged(UserEvent, frozen=True, kw_only=True):
    """The personal data of a user was erased for good; this is the user's tombstone.

    Consumers erase what they hold of the user and let every older state that still arrives go. `run_id` names the
    cleanup run that asked for it.
    """

    type = "user.purged.v1"
    kind = Kind.STATE
    audience = Audience.PLATFORM

    purged_at: Instant
    run_id: UUID | None = None


class UserWatermark(FromUserService, frozen=True, kw_only=True):
    """Everything user-service committed before `as_of` was in its outbox before this event; emitted regularly.

    A consumer that has handled whatever reached it before this event knows users as they were at `as_of`.
    """

    type = "user.watermark.v1"
    kind = Kind.FACT
    audience = Audience.INTERNAL

    as_of: Instant

    @property
    def subject(self) -> str:
        """The service itself: a watermark is about all users."""
        return "user-service"
