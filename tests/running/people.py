"""People for import files: who was last seen when, and may sign in how."""

import csv
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from argon2 import PasswordHasher

from service_chassis.ids import uuid7

PASSWORD = "correct horse battery staple"
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in an import file, who signs in with PASSWORD."""

    email: str
    days_away: int
    role: str = "user"
    active: bool = True

    @property
    def is_inactive(self) -> bool:
        """Whether a cleanup by the default policy switches this one off."""
        return self.active and self.days_away > 30 and self.role != "admin"


def person(name: str, *, days_away: int, role: str = "user", active: bool = True) -> Person:
    """Return somebody nobody else is called like, in this test or any other."""
    return Person(f"{name}.{uuid7().hex}@example.com", days_away, role, active)


def crowd(size: int, *, inactive: float) -> list[Person]:
    """Return users of whom about that share is inactive, with admins, managers and deactivated ones among them."""
    return list(_mixed(random.Random(size), size, inactive))


def write_csv(file: Path, people: Iterable[Person]) -> Path:
    """Write an import file with its columns in an unusual order and one that is not known."""
    now = datetime.now(UTC)
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["role", "email", "favourite_colour", "last_login_at", "created_at", "is_active", "password_hash"]
        )
        for one in people:
            seen = now - timedelta(days=one.days_away)
            joined = seen - timedelta(days=365)
            writer.writerow([one.role, one.email, "blue", seen.isoformat(), joined.isoformat(), one.active, _HASH])
    return file


def _mixed(choice: random.Random, size: int, inactive: float) -> Iterator[Person]:
    for number in range(size):
        away = choice.randint(31, 900) if choice.random() < inactive else choice.randint(0, 29)
        role = choice.choices(["user", "manager", "admin"], [96, 3, 1])[0]
        yield person(f"user{number}", days_away=away, role=role, active=choice.random() < 0.97)
