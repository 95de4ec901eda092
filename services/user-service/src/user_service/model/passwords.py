"""Password hashes: made with argon2id, and checked in the forms other systems bring along.

Hashing is slow on purpose, so a bounded number run at a time; who finds no place in time is told to come back.
"""

import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from service_chassis.errors import Unavailable

DJANGO_PBKDF2 = "pbkdf2_sha256$"
DJANGO_ARGON2 = "argon2$"
DJANGO_BCRYPT = "bcrypt$"
DJANGO_BCRYPT_SHA256 = "bcrypt_sha256$"
ARGON2 = "$argon2"
BCRYPT = ("$2a$", "$2b$", "$2y$")
KNOWN = (DJANGO_PBKDF2, DJANGO_ARGON2, DJANGO_BCRYPT, DJANGO_BCRYPT_SHA256, ARGON2, *BCRYPT)


class HashingOverloaded(Unavailable):
    """Too many passwords are being checked right now."""

    code = "hashing_overloaded"


class Passwords:
    """Hashes and checks passwords, at most `parallel` at a time, others waiting up to `patience` seconds."""

    def __init__(self, *, memory_kib: int, passes: int, parallel: int = 4, patience: float = 2.0) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._places = threading.BoundedSemaphore(parallel)
        self._patience = patience
        self._decoy = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """Return a new hash. Raises HashingOverloaded."""
        with self._place():
            return self._hasher.hash(password)

    def matches(self, password: str, stored: str | None) -> bool:
        """Say whether a password is the stored one; without a stored one it takes as long to say no.

        Raises HashingOverloaded.
        """
        with self._place():
            if stored is None:
                self._argon2(password, self._decoy)
                return False
            return self._check(password, stored)

    def is_outdated(self, stored: str) -> bool:
        """Say whether a hash is foreign or cheaper than ours, and should be made anew at the next sign-in."""
        return not stored.startswith(ARGON2) or self._hasher.check_needs_rehash(stored)

    def _check(self, password: str, stored: str) -> bool:
        if stored.startswith(ARGON2):
            return self._argon2(password, stored)
        if stored.startswith(DJANGO_ARGON2):
            return self._argon2(password, "$" + stored.removeprefix(DJANGO_ARGON2))
        if stored.startswith(DJANGO_PBKDF2):
            return _pbkdf2(password, stored)
        return _bcrypt(password, stored)

    def _argon2(self, password: str, stored: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(timeout=self._patience):
            raise HashingOverloaded(retry_after=2)
        try:
            yield
        finally:
            self._places.release()


def is_known_hash(stored: str) -> bool:
    """Say whether a hash has a form that can be checked."""
    return stored.startswith(KNOWN)


def _pbkdf2(password: str, stored: str) -> bool:
    try:
        _, iterations, salt, digest = stored.split("$")
        computed = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), int(iterations))
    except (ValueError, OverflowError):
        return False
    return hmac.compare_digest(base64.b64encode(computed), digest.encode())


def _bcrypt(password: str, stored: str) -> bool:
    secret = password.encode()
    if stored.startswith(DJANGO_BCRYPT_SHA256):
        secret = hashlib.sha256(secret).hexdigest().encode()
    digest = stored.removeprefix(DJANGO_BCRYPT_SHA256).removeprefix(DJANGO_BCRYPT)
    try:
        # The algorithm knows 72 bytes and the library refuses more, where the systems that made the hashes cut.
        return bcrypt.checkpw(secret[:72], digest.encode())
    except ValueError:
        return False
