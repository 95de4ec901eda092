"""An account: what users share, with a secret token by which its data are recognised."""

import hashlib
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID, uuid4

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime, Version
from service_chassis.messaging.tables import Sequence
from service_chassis.sealing import Seal
from user_service.model.tables import Entity

WEBSITE_LIMIT = 500
TOKEN_OVERLAP = timedelta(hours=24)
"""How long the previous token is good after a rotation, unless said otherwise."""


class Account(Entity):
    """A deleted account leaves its row as a tombstone, so that its number is never given again.

    `version` rises with every change of public state. The token is kept sealed, with a hash to recognise it by.
    """

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(Sequence, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(Text)
    website: Mapped[str | None] = mapped_column(Text)
    sealed_token: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(Text, index=True)
    previous_token_hash: Mapped[str | None] = mapped_column(Text, index=True)
    previous_token_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Version, default=1)

    @classmethod
    def create(cls, name: str, website: str | None, seal: Seal, *, version: int, at: datetime) -> Self:
        token = uuid4()
        return cls(
            name=name,
            website=website,
            sealed_token=seal.close(str(token)),
            token_hash=hash_of(token),
            created_at=at,
            updated_at=at,
            version=version,
        )

    def token(self, seal: Seal) -> UUID:
        """Return the token itself; whoever asks has to note who wanted to know."""
        return UUID(seal.open(self.sealed_token))

    def change(self, *, name: str | None, website: str | None, at: datetime) -> None:
        """Change what is given; an empty website means none."""
        self.name = self.name if name is None else name
        self.website = self.website if website is None else website or None
        self._changed(at)

    def rotate_token(self, seal: Seal, overlap: timedelta, *, at: datetime) -> UUID:
        """Give out a new token; the one before stays good for a while."""
        token = uuid4()
        self.previous_token_hash = self.token_hash if overlap else None
        self.previous_token_until = at + overlap if overlap else None
        self.sealed_token, self.token_hash = seal.close(str(token)), hash_of(token)
        self._changed(at)
        return token

    def delete(self, *, at: datetime) -> None:
        """Leave nothing but the number."""
        self.name, self.website, self.sealed_token, self.token_hash = "", None, "", ""
        self.previous_token_hash = self.previous_token_until = None
        self.deleted_at = at
        self._changed(at)

    def _changed(self, at: datetime) -> None:
        self.updated_at = at
        self.version += 1


def hash_of(token: UUID) -> str:
    """Return by what a token is recognised; it is random enough that nobody finds it from this."""
    return hashlib.sha256(str(token).encode()).hexdigest()
