"""A session and its refresh tokens.

A refresh token is `session id . counter . mac`. The database keeps the session's secret and its counter, no row per
token: using a token raises the counter by one conditional update, and inside a grace window the same successor is
computed again, so that parallel tabs and lost answers do not sign anybody out.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from service_chassis.ids import uuid7
from service_chassis.messaging.tables import Sequence
from user_service.model.device import ANYWHERE, Client
from user_service.model.errors import InvalidRefreshToken
from user_service.model.secret import Secret
from user_service.model.tables import Entity


class Session(Entity):
    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    counter: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    rotated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end_reason: Mapped[str | None] = mapped_column(Text)
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of a session that an opaque token stands for."""
    address: Mapped[str | None] = mapped_column(Text)
    user_agent: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index(
            "sessions_live",
            "user_id",
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
        Index(
            "sessions_opaque",
            "token_hash",
            unique=True,
            postgresql_where=text("token_hash IS NOT NULL"),
            sqlite_where=text("token_hash IS NOT NULL"),
        ),
        Index(
            "sessions_ended",
            "ended_at",
            postgresql_where=text("ended_at IS NOT NULL"),
            sqlite_where=text("ended_at IS NOT NULL"),
        ),
        Index("sessions_expiry", "expires_at"),
    )

    @classmethod
    def start(cls, user_id: UUID, client: Client = ANYWHERE, *, at: datetime, lifetime: timedelta) -> Self:
        return cls(
            id=uuid7(),
            user_id=user_id,
            secret=secrets.token_bytes(32),
            counter=0,
            created_at=at,
            rotated_at=at,
            expires_at=at + lifetime,
            address=client.address,
            user_agent=client.user_agent,
        )

    @classmethod
    def opaque(cls, user_id: UUID, secret: Secret, client: Client, *, at: datetime, lifetime: timedelta) -> Self:
        """Return a session that an opaque token stands for; it has no refresh tokens."""
        session = cls.start(user_id, client, at=at, lifetime=lifetime)
        session.token_hash = secret.digest
        return session

    @property
    def kind(self) -> str:
        return "refresh" if self.token_hash is None else "opaque"

    def is_live(self, *, at: datetime) -> bool:
        return self.ended_at is None and at < self.expires_at


class Revocation(Entity):
    """Tells every verifier that a session's access tokens are void; kept as long as such a token may live."""

    __tablename__ = "revocations"

    number: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    session_id: Mapped[UUID] = mapped_column(Uuid)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (Index("revocations_expiry", "expires_at"),)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    session_id: UUID
    counter: int
    mac: bytes

    @classmethod
    def parse(cls, token: str) -> Self:
        """Read a token's parts; they prove nothing yet. Raises InvalidRefreshToken."""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            return cls(UUID(bytes=raw[:16]), int.from_bytes(raw[16:24], "big"), _exactly_32(raw[24:]))
        except ValueError as error:
            raise InvalidRefreshToken from error


@dataclass(frozen=True, slots=True)
class RefreshTokens:
    """Makes and checks refresh tokens; a copy of the database alone is not enough to forge one."""

    key: bytes

    def issue(self, session: Session, counter: int) -> str:
        raw = session.id.bytes + counter.to_bytes(8, "big") + self._mac(session, counter)
        return urlsafe_b64encode(raw).rstrip(b"=").decode()

    def is_genuine(self, token: RefreshToken, session: Session) -> bool:
        return hmac.compare_digest(token.mac, self._mac(session, token.counter))

    def _mac(self, session: Session, counter: int) -> bytes:
        return hmac.digest(self.key, session.secret + session.id.bytes + counter.to_bytes(8, "big"), hashlib.sha256)


def _exactly_32(mac: bytes) -> bytes:
    if len(mac) != 32:
        raise ValueError("A refresh token ends with 32 bytes of proof.")
    return mac
