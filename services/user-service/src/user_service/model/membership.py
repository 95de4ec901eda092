"""Who belongs to which account, in which role, and who of them may do what."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Self
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime, Version
from service_chassis.messaging.tables import Sequence
from user_service.model.tables import Entity


class AccountRole(IntEnum):
    ADMIN = 1
    NORMAL = 2

    @property
    def label(self) -> str:
        return {AccountRole.ADMIN: "Admin", AccountRole.NORMAL: "Normal user"}[self]

    def is_above(self, other: "AccountRole") -> bool:
        return self < other


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody is to an account: a member, an admin of the whole platform, or nobody."""

    role: AccountRole | None
    is_platform_admin: bool

    @property
    def may_view(self) -> bool:
        return self.is_platform_admin or self.role is not None

    @property
    def may_manage(self) -> bool:
        return self.is_platform_admin or self.role is AccountRole.ADMIN

    @property
    def may_read_token(self) -> bool:
        return self.role is AccountRole.ADMIN


class Membership(Entity):
    """A revoked membership leaves its row as a tombstone, whose version a later one continues.

    It gives its rights at once. Until the user has agreed to it, it shows others nothing of who that is, and neither
    binds nor protects anybody.
    """

    __tablename__ = "memberships"
    __table_args__ = (Index("memberships_user", "user_id"),)

    account_id: Mapped[int] = mapped_column(Sequence, ForeignKey("accounts.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("users.id"), primary_key=True)
    role: Mapped[int] = mapped_column()
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    consented_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Version, default=1)

    @classmethod
    def grant(
        cls, account_id: int, user_id: UUID, role: AccountRole, *, consented: bool, version: int, at: datetime
    ) -> Self:
        consented_at = at if consented else None
        return cls(
            account_id=account_id,
            user_id=user_id,
            role=role,
            granted_at=at,
            consented_at=consented_at,
            version=version,
        )

    @property
    def is_live(self) -> bool:
        return self.revoked_at is None

    @property
    def is_consented(self) -> bool:
        return self.consented_at is not None

    def give(self, role: AccountRole, *, at: datetime) -> None:
        """Give another role."""
        self.role, self.granted_at = role, at
        self.version += 1

    def grant_again(self, role: AccountRole, *, consented: bool, at: datetime) -> None:
        """Give the membership after it was revoked, or one that the user agrees to instead of the present one."""
        self.give(role, at=at)
        self.revoked_at = None
        self.consented_at = at if consented else None

    def revoke(self, *, at: datetime) -> None:
        self.revoked_at = at
        self.version += 1
