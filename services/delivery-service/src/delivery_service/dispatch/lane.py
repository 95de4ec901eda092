"""A destination as the dispatcher that owns it knows it: its settings, what is to go next, and how it has been."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from delivery_service.model.delivery import Verdict
from delivery_service.model.destination import Destination
from delivery_service.model.pacing import Gate, Pace
from delivery_service.model.schedule import Schedule
from delivery_service.model.target import Target
from delivery_service.persistence.outcomes import Claimed
from service_chassis.breaker import USUAL, Breaker, BreakerRules, RecordStorage, State
from service_chassis.clock import Clock
from service_chassis.sealing import Seal

AHEAD = 4
"""Times the requests in flight that are claimed, so that the next are there when those end."""
LONGEST_REST = timedelta(minutes=1)
"""How long a destination that is too busy can have us stay away altogether."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How this installation sends."""

    schedule: Schedule = field(default_factory=Schedule)
    timeout: float = 15.0
    """Seconds one attempt may take in all."""
    in_flight: int = 16
    """Requests to one destination at a time."""
    in_flight_in_all: int = 512
    breaker: BreakerRules = USUAL


class Lane:
    """Used by the event loop; other threads only read `demand`."""

    def __init__(self, destination: Destination, fence: int, manner: Manner, seal: Seal, clock: Clock) -> None:
        self.id: UUID = destination.id
        self.fence = fence
        self.buffer: deque[Claimed] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self.record = destination.breaker
        self.failing_since: datetime | None = destination.failing_since
        self.worked_at = time.monotonic()
        self._manner = manner
        self._seal = seal
        self._clock = clock
        self.gate = Gate(1 if destination.ordered else manner.in_flight)
        self.breaker = self._new_breaker()
        self._version = -1
        self.renew(destination)

    def renew(self, destination: Destination) -> None:
        """Take over the settings as they are now."""
        if destination.version == self._version:
            return
        self._version = destination.version
        self.ordered = destination.ordered
        self.target: Target = destination.target(self._seal, timeout=self._manner.timeout)
        self.schedule = destination.schedule(self._manner.schedule)
        if destination.breaker.state is State.CLOSED and self.record.state is State.OPEN:
            # Somebody has enabled it, who knows that it works again.
            self.record, self.failing_since = destination.breaker, destination.failing_since
            self.breaker = self._new_breaker()
        rate = destination.rate_limit
        pace = Pace(rate, now=time.monotonic()) if rate else None
        self.gate.renew(1 if destination.ordered else self._manner.in_flight, pace)

    @property
    def demand(self) -> int:
        """How many deliveries it makes sense to claim now."""
        if self.breaker.state is State.OPEN or self.gate.wait(time.monotonic()) > 1:
            return 0
        return max(0, AHEAD * (self.gate.free + self.gate.in_flight) - len(self.buffer) - self.gate.in_flight)

    @property
    def hungry(self) -> bool:
        """Say whether it is time to claim more, so that a claim brings many."""
        return self.demand > len(self.buffer)

    @property
    def idle(self) -> bool:
        return not self.buffer and not self.gate.in_flight

    def heed(self, verdict: Verdict, at: datetime, *, succeeded: bool) -> None:
        """Take note of how an attempt ended."""
        if succeeded:
            self.failing_since = None
        elif self.failing_since is None:
            self.failing_since = at
        if verdict.wait:
            self.gate.start_slowly()
            self.gate.hold(time.monotonic() + min(verdict.wait, LONGEST_REST).total_seconds())

    def _new_breaker(self) -> Breaker:
        breaker = Breaker(
            str(self.id),
            self._manner.breaker,
            now=lambda: self._clock.now().timestamp(),
            storage=RecordStorage(self.record),
        )
        breaker.on_change(self._breaker_changed)
        if breaker.state is not State.CLOSED:
            self.gate.start_slowly()
        return breaker

    def _breaker_changed(self, state: State) -> None:
        if state is not State.CLOSED:
            self.gate.start_slowly()
