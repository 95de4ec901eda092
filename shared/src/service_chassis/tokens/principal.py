"""Who calls, and the ways in which a token fails to say so."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from service_chassis.errors import Unauthenticated, Unavailable


class InvalidToken(Unauthenticated):
    """The token is not valid."""

    code = "invalid_token"


class TokenExpired(Unauthenticated):
    """The token has expired."""

    code = "token_expired"


class KeysUnavailable(Unavailable):
    """Tokens cannot be verified right now."""

    code = "keys_unavailable"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as the verified token says."""

    subject: UUID
    kind: Literal["user", "service"]
    role: str | None
    session_id: UUID | None
    client_id: str
    token_id: str
    issued_at: datetime
    expires_at: datetime
    scopes: frozenset[str]
