"""The relay: brings committed messages from the outbox to the broker, and marks them after the broker's confirm."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from service_chassis.clock import Clock
from service_chassis.database import Database, Lock
from service_chassis.logs import Log
from service_chassis.messaging import outbox
from service_chassis.messaging.broker import Broker, Message, Outcome
from service_chassis.metrics import Metrics

ROWS_AT_ONCE = 2_000
LOOK_EVERY = 1.0
LOOK_FOR_WAITING_EVERY = 5.0
"""Seconds between looks for rows set aside at most; another relay may have set some aside."""


class Relay:
    """Publishes one service's outbox; of several replicas, the holder of the lock does."""

    def __init__(
        self, database: Database, broker: Broker, clock: Clock, *, log: Log, metrics: Metrics, stop: threading.Event
    ) -> None:
        self._database = database
        self._broker = broker
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._stop = stop
        self._look_again_at = 0.0
        self._told: set[int] = set()
        self.lock: Lock = database.lock("relay")

    def run(self, tick: Callable[[], None]) -> None:
        """Publish until stopped; raises BrokerUnavailable or DatabaseUnavailable when it has to pause."""
        something_new = True
        try:
            while not self._stop.is_set():
                tick()
                if not self.lock.acquire():
                    self._stop.wait(LOOK_EVERY)
                    something_new = True
                    continue
                something_new |= self._release_due()
                if (not something_new or self.publish_pending() == 0) and not self._stop.is_set():
                    something_new = self._database.wakeup.wait(LOOK_EVERY)
            if self.lock.acquire():
                # What the last handlers wrote before the stop.
                self.publish_pending()
        finally:
            self.lock.release()

    def publish_pending(self) -> int:
        """Publish the oldest unpublished rows, and the next for a while; return how many left the outbox's hot part."""
        until = time.monotonic() + LOOK_EVERY
        done = 0
        with self._database.reading() as session:
            rows = outbox.pending(session, ROWS_AT_ONCE)
        while rows:
            outcomes = self._broker.publish([message for _, message in rows])
            done += len(rows) - outcomes.count(Outcome.UNKNOWN)
            numbers = self._counted(rows, outcomes)
            # A mark that is lost costs a repeated message, which consumers pass over; the disk need not be waited for.
            with self._database.writing(durable=False) as session:
                self._mark(session, numbers)
                go_on = time.monotonic() < until and not numbers[Outcome.UNKNOWN]
                rows = outbox.pending(session, ROWS_AT_ONCE) if go_on else []
            self._warn(numbers)
        return done

    def _counted(self, rows: Sequence[tuple[int, Message]], outcomes: Sequence[Outcome]) -> dict[Outcome, list[int]]:
        """Return the rows by what became of them."""
        numbers: dict[Outcome, list[int]] = {outcome: [] for outcome in Outcome}
        events: Counter[tuple[str, Outcome]] = Counter()
        for (number, message), outcome in zip(rows, outcomes, strict=True):
            numbers[outcome].append(number)
            events[message.routing_key, outcome] += message.events
        for (event_type, outcome), count in events.items():
            self._metrics.published(event_type, outcome.name.lower(), count)
        return numbers

    def _mark(self, session: Session, numbers: dict[Outcome, list[int]]) -> None:
        now = self._clock.now()
        if numbers[Outcome.CONFIRMED]:
            outbox.mark_published(session, numbers[Outcome.CONFIRMED], now)
        if numbers[Outcome.UNROUTABLE]:
            outbox.mark_unroutable(session, numbers[Outcome.UNROUTABLE], now)
        if numbers[Outcome.REFUSED]:
            outbox.mark_refused(session, numbers[Outcome.REFUSED], now)
        if numbers[Outcome.UNROUTABLE] or numbers[Outcome.REFUSED]:
            self._look_again_at = 0.0

    def _warn(self, numbers: dict[Outcome, list[int]]) -> None:
        """Tell of rows that could not be published; of one that is tried again and again, once."""
        for outcome in (Outcome.UNROUTABLE, Outcome.REFUSED, Outcome.UNKNOWN):
            new = [number for number in numbers[outcome] if number not in self._told]
            if new:
                self._log.warning("outbox_not_published", outcome=outcome.name.lower(), rows=len(new))
        self._told.update(numbers[Outcome.UNROUTABLE], numbers[Outcome.REFUSED])
        self._told.difference_update(numbers[Outcome.CONFIRMED])

    def _release_due(self) -> bool:
        """Let delayed and unroutable rows come back in time, also while there is always something else to publish.

        Say whether some came back.
        """
        if time.monotonic() < self._look_again_at:
            return False
        now = self._clock.now()
        with self._database.reading() as session:
            at = outbox.next_due(session)
        left = LOOK_FOR_WAITING_EVERY if at is None else (at - now).total_seconds()
        self._look_again_at = time.monotonic() + min(max(left, LOOK_EVERY), LOOK_FOR_WAITING_EVERY)
        if left > 0:
            return False
        with self._database.writing() as session:
            outbox.release_due(session, now)
        return True
