"""Services that call others in their own name, and what each of them may ask for."""

import hmac
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from sqlalchemy import LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from service_chassis.ids import uuid7
from user_service.model.secret import Secret, digest_of
from user_service.model.tables import Entity


class Scope(StrEnum):
    """What a service may be allowed; its tokens name it, and permissions ask for it."""

    LOOK_UP_STATES = "users.states"
    """Role, status and version of users by id, and nothing personal."""
    READ_USERS = "users.read"
    LOOK_UP_ACCOUNTS = "accounts.lookup"
    NOTIFY = "notifications.send"
    REPORT_DELIVERIES = "notifications.report"


OWN_SERVICES: dict[str, frozenset[Scope]] = {"task-service": frozenset({Scope.LOOK_UP_STATES})}
"""What Steward's own services need; nobody has to say so."""


class ServiceClient(Entity):
    __tablename__ = "service_clients"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    client_id: Mapped[str] = mapped_column(Text, unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scope: Mapped[str] = mapped_column(Text, server_default=text("''"))
    """Its scopes as a token names them, with a blank between them (RFC 6749, 3.3)."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @classmethod
    def create(cls, client_id: str, secret: Secret, scopes: Collection[str], *, at: datetime) -> Self:
        scope = " ".join(sorted(scopes))
        return cls(id=uuid7(), client_id=client_id, secret_hash=secret.digest, scope=scope, created_at=at)

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(self.scope.split())

    def knows(self, secret: str) -> bool:
        return hmac.compare_digest(self.secret_hash, digest_of(secret))
