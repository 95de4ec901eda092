"""Who does something, as far as rules ask."""

from dataclasses import dataclass
from uuid import UUID

from user_service.model.user import Role


@dataclass(frozen=True, slots=True)
class Actor:
    user_id: UUID
    role: Role

    @property
    def is_admin(self) -> bool:
        """Whether this is an admin of the platform."""
        return self.role is Role.ADMIN
