"""When an attempt is followed by another: a schedule with jitter, which a receiver can stretch and not shorten."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

STANDARD = tuple(
    timedelta(seconds=seconds) for seconds in (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""The schedule the Standard Webhooks specification proposes: three days and three hours."""
JITTER = 0.2
LONGEST_RETRY_AFTER = timedelta(hours=24)
MOST_ATTEMPTS = 50
LONGEST_DELAY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long after the attempt before it each attempt is made; the first counts from the arrival."""

    delays: tuple[timedelta, ...] = STANDARD

    def __post_init__(self) -> None:
        """Raise ValueError for a schedule nobody can mean."""
        if not 1 <= len(self.delays) <= MOST_ATTEMPTS:
            raise ValueError(f"A schedule has 1 to {MOST_ATTEMPTS} attempts.")
        if not all(timedelta() <= delay <= LONGEST_DELAY for delay in self.delays):
            raise ValueError(f"A delay has 0 to {LONGEST_DELAY.total_seconds():.0f} seconds.")

    @classmethod
    def of_seconds(cls, seconds: Sequence[float]) -> "Schedule":
        """Return the schedule with these delays. Raises ValueError."""
        return cls(tuple(timedelta(seconds=delay) for delay in seconds))

    def next_at(
        self,
        attempts: int,
        at: datetime,
        *,
        retry_after: timedelta = timedelta(),
        random: Callable[[], float] = random.random,
    ) -> datetime | None:
        """Return when the next attempt is due after so many failed ones, the last at `at`; None if there is none.

        The jitter lies on both sides of a delay, so that what failed together does not come again together.
        """
        if attempts >= len(self.delays):
            return None
        own = self.delays[attempts] * (1 + JITTER * (2 * random() - 1))
        return at + max(own, min(retry_after, LONGEST_RETRY_AFTER))


def retry_after(value: str, at: datetime) -> timedelta:
    """Return how long a Retry-After header asks to wait, in seconds or as a date; nothing where it makes no sense."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        # More digits than a timedelta can hold mean the longest wait as well.
        return min(timedelta(seconds=min(int(text[:12]), 10**9)), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - at
    except (ValueError, TypeError, OverflowError):
        return timedelta()
    return min(max(wait, timedelta()), LONGEST_RETRY_AFTER)
