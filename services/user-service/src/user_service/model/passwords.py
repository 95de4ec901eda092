"""Password hashes: made with argon2id, and checked in the forms other systems bring along.

Hashing is slow on purpose, so a bounded number run at a time; who finds no place in time is told to come back.
"""

import base64
import hashlib
import hmac
import os
import re
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from service_chassis.errors import Unavailable
from user_service.model.levelling import Levels
from user_service.model.password_policy import normalised

DJANGO_PBKDF2 = "pbkdf2_sha256$"
DJANGO_ARGON2 = "argon2$"
DJANGO_BCRYPT = "bcrypt$"
DJANGO_BCRYPT_SHA256 = "bcrypt_sha256$"
ARGON2 = "$argon2"
COST = re.compile(
    r"""
      pbkdf2_sha256\$ (?P<iterations>[0-9]{1,12}) \$
    | (?:bcrypt(?:_sha256)?\$)? \$2[aby]\$ (?P<rounds>[0-9]{2}) \$
    | (?:argon2)? \$argon2(?:id|i|d)\$ (?:v=[0-9]{1,3}\$)?
      m=(?P<memory>[0-9]{1,12}),t=(?P<passes>[0-9]{1,12}),p=(?P<lanes>[0-9]{1,12}) \$
    """,
    re.VERBOSE,
)
"""How the forms begin that can be checked, with what that costs where the check itself reads it."""
MOST = {"iterations": 2_000_000, "rounds": 14, "memory": 262_144, "passes": 10, "lanes": 16}
"""What checking a hash another system made may cost: about a second."""


P = ParamSpec("P")
T = TypeVar("T")


class HashingOverloaded(Unavailable):
    """Too many passwords are being checked right now."""

    code = "hashing_overloaded"


class Passwords:
    """Hashes and checks passwords, at most `parallel` at a time, others waiting up to `patience` seconds."""

    def __init__(
        self,
        *,
        memory_kib: int,
        passes: int,
        parallel: int = 1,
        patience: float = 2.0,
        hasher: type[PasswordHasher] = PasswordHasher,
    ) -> None:
        self._hasher = hasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self.parallel = parallel
        self._patience = patience
        self._decoy = self._hasher.hash("nobody has this password")
        self.form = str(form_of(self._decoy))
        self._levels = Levels(self.form)

    def hash(self, password: str) -> str:
        """Return a new hash. Raises HashingOverloaded."""
        return self._apart(self._hasher.hash, normalised(password))

    def matches(self, password: str, stored: str | None) -> bool:
        """Say whether a password is the stored one; a no takes as long for every known form, and without a stored one.

        Raises HashingOverloaded.
        """
        # Who brought the hash along may have taken the characters as they came.
        spellings = list(dict.fromkeys((normalised(password), password)))
        right, taken = self._apart(self._timed, spellings, stored)
        if not right:
            time.sleep(max(0.0, self._levels.level() * len(spellings) - taken))
        return right

    def know(self, forms: Collection[str]) -> None:
        """Learn which forms of hashes are stored, each of which costs what a check of it takes."""
        for form in self._levels.unknown(forms):
            self._apart(self._timed, ["nobody has this password"], decoy_of(form))

    def is_outdated(self, stored: str) -> bool:
        """Say whether a hash is foreign or cheaper than ours, and should be made anew at the next sign-in."""
        return not stored.startswith(ARGON2) or self._hasher.check_needs_rehash(stored)

    def _timed(self, spellings: Collection[str], stored: str | None) -> tuple[bool, float]:
        started = time.perf_counter()
        right = self._matches(spellings, stored)
        taken = time.perf_counter() - started
        form = self.form if stored is None else form_of(stored)
        if not right and form is not None:
            self._levels.note(form, taken / len(spellings))
        return right, taken

    def _matches(self, spellings: Collection[str], stored: str | None) -> bool:
        if stored is None:
            for spelling in spellings:
                self._argon2(spelling, self._decoy)
            return False
        return any(self._check(spelling, stored) for spelling in spellings)

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

    def _apart(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        at_work = _threads(self.parallel, os.getpid()).submit(work, *args, **kwargs)
        try:
            return at_work.result(self._patience)
        except TimeoutError as error:
            if at_work.cancel():
                raise HashingOverloaded(retry_after=2) from error
        return at_work.result()


@cache
def _threads(number: int, _pid: int) -> ThreadPoolExecutor:
    """Return the threads that hash in a process; those of its parent did not survive the fork.

    Few threads find the memory they hashed in before at hand. When each thread that answers requests hashes by itself,
    a sign-in takes a tenth more of the processor, and the process keeps more memory.
    """
    return ThreadPoolExecutor(number, "hashing")


def form_of(stored: str) -> str | None:
    """Return how a hash begins, up to what it costs; None for one that cannot be checked."""
    cost = COST.match(stored)
    return None if cost is None else cost[0]


def decoy_of(form: str) -> str:
    """Return a hash of a form that no password has."""
    if form.startswith(DJANGO_PBKDF2):
        return f"{form}salt${'A' * 43}="
    if ARGON2 in form or form.startswith(DJANGO_ARGON2):
        return f"{form}{'A' * 22}${'A' * 43}"
    return form + "." * 53


def is_known_hash(stored: str) -> bool:
    """Say whether a hash has a form that can be checked, at a cost that one sign-in may have."""
    cost = COST.match(stored)
    return cost is not None and all(int(cost[name] or 0) <= most for name, most in MOST.items())


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
