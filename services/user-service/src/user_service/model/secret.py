"""Secrets that are handed out once and kept as hashes: 32 random bytes need neither salt nor a slow hash."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret at the one moment it is known: what its holder gets, and what is kept."""

    plain: str
    digest: bytes

    @classmethod
    def new(cls) -> Self:
        plain = secrets.token_urlsafe(32)
        return cls(plain, digest_of(plain))


def digest_of(plain: str) -> bytes:
    """Return what is kept of a secret, and looked up when somebody presents it."""
    return hashlib.sha256(plain.encode(errors="surrogatepass")).digest()
