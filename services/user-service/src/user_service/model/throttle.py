"""How often one may guess: failures are counted under what they share, and each makes the next attempt wait longer."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from service_chassis.database import UtcDateTime
from user_service.model.tables import Entity

MOST_DOUBLINGS = 32
"""Beyond this every pause is the longest one; the power itself would overflow."""

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long attempts have to wait after failures."""

    free: int
    """Failures from which on an attempt has to wait: a second at first, and twice as long after each further one."""
    longest: timedelta
    memory: timedelta
    """How long after the last failure all of them are forgotten."""
    most: int | None = None
    """Failures after which nothing is tried any more until they are forgotten, or the account is recovered."""

    def pause(self, failures: int) -> timedelta:
        if self.most is not None and failures >= self.most:
            return self.memory
        if failures < self.free:
            return timedelta(0)
        return min(timedelta(seconds=2 ** min(failures - self.free, MOST_DOUBLINGS)), self.longest)


ACCOUNT = Pace(free=5, longest=timedelta(minutes=15), memory=timedelta(days=30), most=100)
"""For what guards one account; 100 failures in a row are the most that NIST SP 800-63B allows."""
ADDRESS = Pace(free=50, longest=timedelta(minutes=15), memory=timedelta(hours=1))
"""For the address a request comes from, behind which there may be a whole office."""

ACCOUNT_BY_DEVICES = Pace(free=20, longest=timedelta(minutes=15), memory=timedelta(days=30), most=100)
"""For all devices together that an account is known on, each of which has a count of its own, too."""
ADDRESS_BY_DEVICES = Pace(free=200, longest=timedelta(minutes=15), memory=timedelta(hours=1))
"""For the address such devices are at."""

REGISTRATION = Pace(free=5_000, longest=timedelta(minutes=15), memory=timedelta(hours=1))
"""For registrations from one address, also those that succeed: more than a whole company's on its first day."""

MAILS_TO = Pace(free=5, longest=timedelta(minutes=15), memory=timedelta(days=1))
"""For requests of one kind that have a mail sent to one address, whoever asks and whether or not one is sent."""
MAILS_BY = MAILS_TO
"""For those by one user, to any address."""
MAILS_FROM = Pace(free=200, longest=timedelta(minutes=15), memory=timedelta(hours=1))
"""For those from where one request comes from, behind which there may be a whole office."""
NOTIFICATIONS_TO = Pace(free=60, longest=timedelta(minutes=15), memory=timedelta(hours=1))
"""For notifications that people ask for, of one user."""
NOTIFICATIONS_BY = Pace(free=1_000, longest=timedelta(minutes=15), memory=timedelta(hours=1))
"""For those by one user who may notify others, and for those from one address."""


class Throttle(Entity):
    """The failures counted under one key, which says neither whose nor whether there is anybody."""

    __tablename__ = "throttles"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int] = mapped_column()
    blocked_until: Mapped[datetime] = mapped_column(UtcDateTime)
    forget_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    @classmethod
    def unused(cls, key: str) -> Self:
        return cls(key=key, failures=0, blocked_until=LONG_AGO, forget_at=LONG_AGO)

    def fails(self, pace: Pace, *, at: datetime) -> None:
        """Count a failure."""
        self.failures = 1 if self.forget_at <= at else self.failures + 1
        if pause := pace.pause(self.failures):
            self.blocked_until = at + pause
        self.forget_at = at + pace.memory
