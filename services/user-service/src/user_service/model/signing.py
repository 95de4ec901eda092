"""Keys that sign access tokens, and the tokens. Private keys are encrypted at rest."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

import jwt
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import Json, UtcDateTime
from service_chassis.ids import uuid7
from user_service.model.service_client import ServiceClient
from user_service.model.tables import Entity
from user_service.model.user import User

ALGORITHM = "RS256"
"""Of the keys kept here; tokens may be signed with a shared secret instead."""
TOKEN_TYPE = "at+jwt"  # noqa: S105  # The JOSE header of an access token (RFC 9068).


class SigningKey(Entity):
    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(Text, primary_key=True)
    public_jwk: Mapped[dict[str, Any]] = mapped_column(Json)
    private_pem: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @classmethod
    def generate(cls, secret: str, *, at: datetime) -> Self:
        """Return a new RSA key whose private half only a holder of `secret` can read."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        kid = uuid7().hex
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return cls(
            kid=kid,
            public_jwk={"kty": jwk["kty"], "n": jwk["n"], "e": jwk["e"], "kid": kid, "alg": ALGORITHM, "use": "sig"},
            private_pem=_cipher(secret).encrypt(pem).decode(),
            created_at=at,
        )

    def private_key(self, secret: str) -> rsa.RSAPrivateKey:
        """Return the private half. Raises cryptography's InvalidToken when the secret is another one."""
        pem = _cipher(secret).decrypt(self.private_pem.encode())
        # Checking the primes anew takes a tenth of a second, and the cipher vouches that they are those we made.
        key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("Signing keys are RSA keys.")
        return key


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What every access token says and how long it lives."""

    issuer: str
    audience: str
    algorithm: str
    lifetime: timedelta


def user_claims(user: User, session_id: UUID) -> dict[str, str]:
    """Return what a token says of a session of a user."""
    return {
        "sub": str(user.id),
        "client_id": "steward",
        "kind": "user",
        "sid": str(session_id),
        "role": user.role,
    }


def service_claims(client: ServiceClient) -> dict[str, str]:
    """Return what a token says of a service that calls in its own name."""
    return {"sub": str(client.id), "client_id": client.client_id, "kind": "service", "scope": client.scope}


def access_token(
    claims: Mapping[str, str],
    key: tuple[str, rsa.RSAPrivateKey | str],
    rules: TokenRules,
    *,
    at: datetime,
    lifetime: timedelta,
) -> str:
    """Return a signed access token (RFC 9068)."""
    kid, private = key
    same = {
        "iss": rules.issuer,
        "aud": rules.audience,
        "iat": at,
        "exp": at + lifetime,
        "jti": str(uuid7()),
    }
    return jwt.encode({**same, **claims}, private, rules.algorithm, headers={"kid": kid, "typ": TOKEN_TYPE})


def derived_key(secret: str, purpose: str) -> bytes:
    """Return 32 bytes of key for one purpose; one purpose's key says nothing about another's."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())


def _cipher(secret: str) -> Fernet:
    return Fernet(urlsafe_b64encode(derived_key(secret, "signing-keys")))
