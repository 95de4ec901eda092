"""How fast one destination is sent to: paced to its rate, capped in flight, slowly after a failure.

Times are seconds of one clock, given by the caller. Each object belongs to the one owner of a destination.
"""

from dataclasses import dataclass, field

SLACK = 0.25
"""Seconds of its rate that a destination may get at once: lateness of ours is made up, and nothing more."""


class Pace:
    """The generic cell rate algorithm: each request goes at the instant its token is due, not a window later."""

    def __init__(self, rate: float, *, now: float) -> None:
        """Allow `rate` requests a second; nothing is saved up from before `now`."""
        self._interval = 1.0 / rate
        self._slack = min(SLACK, 1.0)
        self._due = now + self._slack

    def wait(self, now: float) -> float:
        """Return the seconds until the next request may go."""
        return max(0.0, self._due - self._slack - now)

    def take(self, now: float) -> None:
        self._due = max(self._due, now) + self._interval


@dataclass(slots=True)
class Gate:
    """Lets requests to one destination through: `wait` says when, `began` and `ended` what has become of them."""

    cap: int
    pace: Pace | None = None
    in_flight: int = 0
    _allowed: float = field(init=False)
    _held_until: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Begin with the whole cap."""
        self._allowed = self.cap

    @property
    def free(self) -> int:
        """How many more may be in flight now."""
        return max(0, min(self.cap, int(self._allowed)) - self.in_flight)

    def wait(self, now: float) -> float:
        """Return the seconds until a request may go, as far as time is what it waits for."""
        return max(self._held_until - now, self.pace.wait(now) if self.pace else 0.0, 0.0)

    def began(self, now: float) -> None:
        self.in_flight += 1
        if self.pace:
            self.pace.take(now)

    def ended(self, *, succeeded: bool) -> None:
        """Take note of an end; each success after a slow start lets one more request be in flight."""
        self.in_flight -= 1
        if succeeded:
            self._allowed = min(self.cap, self._allowed + 1)

    def start_slowly(self) -> None:
        """Let one request through at a time until successes allow more."""
        self._allowed = 1

    def hold(self, until: float) -> None:
        """Let nothing through before an instant."""
        self._held_until = max(self._held_until, until)

    def renew(self, cap: int, pace: Pace | None) -> None:
        """Take over changed settings; a slow start goes on."""
        self._allowed = cap if self._allowed >= self.cap else min(self._allowed, cap)
        self.cap = cap
        self.pace = pace
