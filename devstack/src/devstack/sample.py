"""Users to try things with: a file as `import-users` takes it, the same for the same number and day."""

import csv
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TextIO

COLUMNS = ("email", "name", "role", "created_at", "last_login_at", "is_active", "password_hash")
INACTIVE_SHARE = 0.4


def write_users(stream: TextIO, count: int, now: datetime) -> None:
    """Write so many users, two in five of whom have not signed in for months."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(count, now))


def _rows(count: int, now: datetime) -> Iterator[tuple[str, ...]]:
    chance = random.Random(count)  # noqa: S311  # Sample data, the same each time.
    for number in range(1, count + 1):
        idle = chance.uniform(45, 400) if chance.random() < INACTIVE_SHARE else chance.uniform(0, 20)
        seen = now - timedelta(days=idle)
        created = seen - timedelta(days=chance.uniform(1, 900))
        role = "manager" if number % 50 == 0 else "user"
        yield (
            f"user{number}@example.org",
            f"User {number}",
            role,
            created.isoformat(timespec="seconds"),
            seen.isoformat(timespec="seconds"),
            "true",
            "",
        )
