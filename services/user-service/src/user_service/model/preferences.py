"""By which channels a user wants to be notified. Who has said nothing wants all of them."""

from dataclasses import asdict, dataclass
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from user_service.model.tables import Entity


@dataclass(frozen=True, slots=True)
class Wishes:
    """Preferences as a value; `version` rises with every change."""

    email: bool = True
    push: bool = True
    version: int = 0

    def plain(self) -> dict[str, Any]:
        return asdict(self)


class UserPreferences(Entity):
    __tablename__ = "user_preferences"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    email: Mapped[bool] = mapped_column(default=True)
    push: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=0)

    @classmethod
    def of(cls, user_id: UUID) -> Self:
        return cls(user_id=user_id, email=True, push=True, version=0)

    @property
    def wishes(self) -> Wishes:
        return Wishes(self.email, self.push, self.version)

    def change(self, *, email: bool | None, push: bool | None) -> None:
        """Switch channels on or off; None leaves one as it is."""
        self.email = self.email if email is None else email
        self.push = self.push if push is None else push
        self.version += 1
