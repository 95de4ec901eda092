"""A user: who it is, whether it is switched on, and when it was last seen doing something."""

import re
import unicodedata
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from sqlalchemy import Index, Text, Uuid, false, text
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime, Version
from service_chassis.ids import uuid7
from service_chassis.messaging.tables import Sequence
from user_service.model.email import normalised_email
from user_service.model.errors import (
    AlreadyActive,
    AlreadyDeactivated,
    AlreadyPurged,
    InvalidUsername,
)
from user_service.model.tables import Entity

USERNAME_LIMIT = 150
USERNAME = re.compile(rf"[a-z0-9._+-]{{1,{USERNAME_LIMIT}}}")
NAME_LIMIT = 200
LINE_BREAKING = {"Cc", "Zl", "Zp"}
DIRECTION_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
NO_HOME = 0
"""Instead of a user's own account where that is gone; none at all means that there never was one."""


class Role(StrEnum):
    ADMIN = "admin"
    MANAGER = "manager"
    USER = "user"


class Status(StrEnum):
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    PURGED = "purged"


class Reason(StrEnum):
    """Why a user was switched off."""

    SELF = "self"
    INACTIVITY = "inactivity"
    MISSED_TASKS = "missed_tasks"
    ADMIN = "admin"


class Signal(StrEnum):
    """What counts as activity: something the user did, never something done to the user."""

    SIGN_IN = "sign_in"
    REFRESH = "refresh"
    OPAQUE_TOKEN = "opaque_token"  # noqa: S105  # The name of a signal.
    INVITATION_ACCEPTED = "invitation_accepted"
    KEEP_ALIVE = "keep_alive"
    REACTIVATION = "reactivation"


class User(Entity):
    """`version` rises with every change of public state, and lets consumers drop what is older than they have."""

    __tablename__ = "users"
    __table_args__ = (
        Index("users_admins", "number", postgresql_where=text("role = 'admin'"), sqlite_where=text("role = 'admin'")),
        Index(
            "users_username",
            "username",
            unique=True,
            postgresql_where=text("username IS NOT NULL"),
            sqlite_where=text("username IS NOT NULL"),
        ),
    )

    number: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(Uuid, unique=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    registered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_activity_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reactivated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deactivated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deactivation_reason: Mapped[str | None] = mapped_column(Text)
    deactivated_by_run: Mapped[UUID | None] = mapped_column(Uuid)
    email_verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    push_token: Mapped[str | None] = mapped_column(Text)
    username: Mapped[str | None] = mapped_column(Text)
    home: Mapped[int | None] = mapped_column("home_account_id", Sequence)
    device_generation: Mapped[int] = mapped_column(server_default="0")
    """Rises when no device is to count as known any more."""
    is_unproven: Mapped[bool] = mapped_column(server_default=false())
    """Whether the address is only claimed, by somebody who registered with it and has never proven to read its mail."""
    purged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Version, default=1)

    @classmethod
    def register(
        cls, email: str, name: str, role: Role, password_hash: str | None, *, at: datetime, username: str | None = None
    ) -> Self:
        """Return a new active user. Raises InvalidEmail, InvalidUsername."""
        return cls(
            id=uuid7(),
            email=normalised_email(email),
            username=None if username is None else normalised_username(username),
            name=name.strip(),
            role=role,
            status=Status.ACTIVE,
            password_hash=password_hash,
            registered_at=at,
            last_activity_at=at,
            device_generation=0,
            is_unproven=False,
            version=1,
        )

    @property
    def is_active(self) -> bool:
        return self.status == Status.ACTIVE

    @property
    def home_account_id(self) -> int | None:
        """The account that is the user's own, of which the user is a member, if there is one."""
        return self.home or None

    def signs_in(self, *, at: datetime) -> None:
        self.last_login_at = at
        self.is_seen(at=at)

    def is_seen(self, *, at: datetime) -> None:
        """Note activity; it never moves back."""
        self.last_activity_at = max(self.last_activity_at, at)

    def rename(self, name: str) -> bool:
        """Take another name; False when it is the same."""
        stripped = name.strip()
        if stripped == self.name:
            return False
        self.name = stripped
        self.version += 1
        return True

    def readdress(self, email: str) -> None:
        """Take another e-mail address. Raises InvalidEmail."""
        self.email = normalised_email(email)
        self.email_verified_at = None
        self.version += 1

    def call(self, username: str | None) -> bool:
        """Take another username, or none; False when it is the same. Raises InvalidUsername.

        It is no public state: others know users by id.
        """
        normalised = None if username is None else normalised_username(username)
        if normalised == self.username:
            return False
        self.username = normalised
        return True

    def take_password(self, password_hash: str) -> None:
        """Take another password; no device from before counts as known."""
        self.password_hash = password_hash
        self.device_generation += 1

    def forget_devices(self) -> None:
        """Let no device count as known, nor be reached."""
        self.push_token = None
        self.device_generation += 1

    def give_role(self, role: Role) -> None:
        self.role = role
        self.version += 1

    def purge(self, *, at: datetime) -> None:
        """Erase what tells who this was; number and id stay, so that what refers to them still does."""
        if self.status == Status.PURGED:
            raise AlreadyPurged
        self.email = f"{self.id.hex}@purged.invalid"
        self.name = ""
        self.username = self.password_hash = self.push_token = None
        self.deactivated_at = self.deactivated_at or at
        self.purged_at = at
        self.status = Status.PURGED
        self.version += 1

    def deactivate(self, reason: Reason, *, at: datetime) -> None:
        """Switch off; nothing is deleted. Raises AlreadyDeactivated."""
        if not self.is_active:
            raise AlreadyDeactivated
        self.status = Status.DEACTIVATED
        self.deactivated_at = at
        self.deactivation_reason = reason
        self.version += 1

    def reactivate(self, *, at: datetime) -> None:
        """Switch on again, which counts as activity, so that the next cleanup leaves the user alone."""
        if self.is_active:
            raise AlreadyActive
        if self.status == Status.PURGED:
            raise AlreadyPurged
        self.status = Status.ACTIVE
        self.reactivated_at = at
        self.deactivated_at = None
        self.deactivation_reason = None
        self.deactivated_by_run = None
        self.version += 1
        self.is_seen(at=at)


def is_line(value: str) -> bool:
    """Return whether a text can be shown on one line as it is.

    It holds no control characters, line separators or controls of the writing direction.
    """
    return not any(
        character in DIRECTION_CONTROLS or unicodedata.category(character) in LINE_BREAKING for character in value
    )


def normalised_username(username: str) -> str:
    """Return the one spelling of a username, by which nobody's e-mail address is named. Raises InvalidUsername."""
    normalised = username.strip().lower()
    if not USERNAME.fullmatch(normalised):
        raise InvalidUsername
    return normalised
