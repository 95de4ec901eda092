"""An issuer of tokens as user-service is one: it signs, publishes its keys and tells which sessions have ended."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from service_chassis.ids import uuid7

LIFETIME = timedelta(hours=1)


class SigningKey:
    def __init__(self, kid: str) -> None:
        self.kid = kid
        self.private = rsa.generate_private_key(public_exponent=65_537, key_size=2048)

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def published(self) -> dict[str, Any]:
        return {**RSAAlgorithm.to_jwk(self.private.public_key(), as_dict=True), "kid": self.kid, "use": "sig"}


class Issuer:
    def __init__(self, key: SigningKey) -> None:
        self.keys = [key]
        self._ended: list[dict[str, str]] = []

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return the claims of a user's token; a change to None leaves the claim out."""
        now = datetime.now(UTC)
        claims = {
            "iss": "steward",
            "aud": "steward",
            "sub": str(uuid7()),
            "client_id": "tests",
            "kind": "user",
            "role": "user",
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": str(uuid7()),
            "sid": str(uuid7()),
        }
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def token(self, key: SigningKey | None = None, *, kid: str | None = None, **changes: Any) -> str:
        """Return a token signed with a key, by default the newest, which it may call by another name."""
        key = key or self.keys[-1]
        headers = {"typ": "at+jwt", "kid": kid or key.kid}
        return jwt.encode(self.claims(**changes), key.private, "RS256", headers=headers)

    def end(self, session_id: UUID) -> None:
        """End a session, as signing out does."""
        self._ended.append({"sid": str(session_id), "expires_at": (datetime.now(UTC) + LIFETIME).isoformat()})

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.published() for key in self.keys]}

    def feed(self) -> dict[str, Any]:
        return {"entries": self._ended, "cursor": str(len(self._ended))}
