"""Sessions that have ended before their access tokens did, polled from user-service.

Entries live as long as an access token can, so the list stays small and is held in memory.
"""

import heapq
import math
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Protocol
from uuid import UUID

import msgspec

from service_chassis.clients import ServiceClient
from service_chassis.clock import Clock
from service_chassis.errors import Unauthenticated, Unavailable
from service_chassis.tokens import LONGEST_LEEWAY, Principal

LONGEST_FEED = 64 * 1024 * 1024
"""Bytes of an answer of the feed that are taken: a cleanup can end hundreds of thousands of sessions in an hour."""
POLL_EVERY = 2.0
ASK_AGAIN_AFTER = 0.5
"""Seconds after which a poll that failed is repeated: a short outage must not add up to a stale list."""
FRESH_FOR = 5.0
"""Seconds without an answer after which a session may have ended without this process knowing."""


class RevocationsStale(Unavailable):
    """Whether the session has ended cannot be told right now."""

    code = "revocations_stale"


class SessionEnded(Unauthenticated):
    """The session has ended."""

    code = "session_ended"


class Entry(msgspec.Struct, frozen=True):
    """A session that has ended, and until when its tokens would have lasted."""

    sid: UUID
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)]


class Feed(msgspec.Struct, frozen=True):
    """One answer of the feed; the next poll asks for what comes after `cursor`."""

    entries: list[Entry]
    cursor: str


def feed_of(client: ServiceClient) -> Callable[[str | None], Feed]:
    """Return the fetch function of a poller that asks user-service."""
    return lambda after: client.get("/internal/revocations", Feed, {} if after is None else {"after": after})


class Revocations(Protocol):
    """What tells a verifier which sessions have ended."""

    @property
    def age(self) -> float:
        """Seconds since the newest thing it knows."""

    @property
    def fresh(self) -> bool:
        """Whether a session that ended more than a few seconds ago is certainly known."""

    def is_revoked(self, principal: Principal) -> bool: ...


class RevocationList:
    """The sessions known to have ended. Asking is one look into a dict and takes no lock."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.monotonic = monotonic
        self._lock = threading.Lock()
        self._until: dict[UUID, datetime] = {}
        self._by_expiry: list[tuple[datetime, UUID]] = []
        self._as_of = -math.inf

    def __len__(self) -> int:
        """Return how many sessions are listed."""
        return len(self._until)

    @property
    def age(self) -> float:
        """Seconds since the feed was last asked with success; infinite before that."""
        return self.monotonic() - self._as_of

    @property
    def fresh(self) -> bool:
        return self.age < FRESH_FOR

    def is_revoked(self, principal: Principal) -> bool:
        return principal.session_id in self._until

    def add(self, entries: Iterable[Entry], *, asked_at: float | None = None) -> None:
        """Take over the entries of one answer, which may repeat known ones.

        `asked_at` is the monotonic time the question was sent, for the answer may have been under way for long.
        """
        with self._lock:
            for entry in entries:
                self._list(entry.sid, entry.expires_at)
            self._forget()
            self._as_of = max(self._as_of, self.monotonic() if asked_at is None else asked_at)

    def end(self, principal: Principal) -> None:
        """List the session of a caller who has just ended it, before the feed tells of it."""
        if principal.session_id is not None:
            with self._lock:
                self._list(principal.session_id, principal.expires_at)

    def _list(self, sid: UUID, expires_at: datetime) -> None:
        known = self._until.get(sid)
        if known is None or known < expires_at:
            self._until[sid] = expires_at
            heapq.heappush(self._by_expiry, (expires_at, sid))

    def _forget(self) -> None:
        # Verifiers accept a token for a little longer than it says.
        limit = self._clock.now() - LONGEST_LEEWAY
        while self._by_expiry and self._by_expiry[0][0] <= limit:
            expires_at, sid = heapq.heappop(self._by_expiry)
            if self._until.get(sid) == expires_at:
                del self._until[sid]


class RevocationPoller:
    """Keeps a list up to date in a thread of its own; the list's age tells when that fails."""

    def __init__(
        self,
        fetch: Callable[[str | None], Feed],
        revocations: RevocationList,
        stop: threading.Event,
        interval: float = POLL_EVERY,
    ) -> None:
        self._fetch = fetch
        self._revocations = revocations
        self._stop = stop
        self._interval = interval
        self._cursor: str | None = None
        self.error: Exception | None = None
        """Why the last poll failed; None when it did not."""

    def start(self) -> threading.Thread:
        """Poll in a daemon thread until the stop event is set."""
        thread = threading.Thread(target=self.run, name="revocations", daemon=True)
        thread.start()
        return thread

    def run(self) -> None:
        """Poll at once and then at every interval, sooner after a failure, until the stop event is set."""
        while not self._stop.is_set():
            try:
                self.poll_once()
                self.error = None
            except Exception as error:  # noqa: BLE001  # Whatever it was, the list's age tells, and the next poll may succeed.
                self.error = error
            self._stop.wait(self._interval if self.error is None else min(self._interval, ASK_AGAIN_AFTER))

    def poll_once(self) -> None:
        """Fetch what is new; raises the errors of the fetch."""
        asked_at = self._revocations.monotonic()
        feed = self._fetch(self._cursor)
        self._revocations.add(feed.entries, asked_at=asked_at)
        self._cursor = feed.cursor
