"""Services that call others in their own name."""

import hmac
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy import LargeBinary, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from service_chassis.ids import uuid7
from user_service.model.secret import Secret, digest_of
from user_service.model.tables import Entity


class ServiceClient(Entity):
    __tablename__ = "service_clients"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    client_id: Mapped[str] = mapped_column(Text, unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @classmethod
    def create(cls, client_id: str, secret: Secret, *, at: datetime) -> Self:
        return cls(id=uuid7(), client_id=client_id, secret_hash=secret.digest, created_at=at)

    def knows(self, secret: str) -> bool:
        return hmac.compare_digest(self.secret_hash, digest_of(secret))
