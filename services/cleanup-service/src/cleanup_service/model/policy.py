"""The cleanup policy: who counts as inactive, who is exempt, and when a plan needs a person's approval."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class SafetyBreaker:
    """Limits above which a plan waits for approval; None switches a limit off."""

    users: int | None
    percent: int | None

    def objection(self, candidates: int, active: int, expected: int | None) -> str | None:
        """Return why a plan must be approved, or None when it may go on; `expected` is the caller's own limit."""
        if expected is not None:
            return f"{candidates} users, more than the {expected} expected." if candidates > expected else None
        if self.users is not None and candidates > self.users:
            return f"{candidates} users, more than {self.users}."
        if self.percent is not None and active and candidates * 100 > active * self.percent:
            return f"{candidates} of {active} active users, more than {self.percent} %."
        return None


@dataclass(frozen=True, slots=True)
class Policy:
    threshold: timedelta
    exempt_roles: tuple[str, ...]
    breaker: SafetyBreaker

    @property
    def threshold_days(self) -> int:
        return self.threshold.days

    def with_threshold(self, threshold: timedelta) -> "Policy":
        return replace(self, threshold=threshold)

    def cutoff(self, now: datetime) -> datetime:
        """Return the instant before which the latest activity makes a user inactive."""
        return now - self.threshold
