"""The relay: brings committed messages from the outbox to the broker, and marks them after the broker's confirm."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from service_chassis.clock import Clock
from service_chassis.database import Database, Lock
from service_chassis.logs import Log
from service_chassis.messaging import outbox
from service_chassis.messaging.broker import Broker, Message, Outcome
from service_chassis.metrics import Metrics

ROWS_AT_ONCE = 2_000
LOOK_EVERY = 1.0
LOOK_FOR_WAITING_EVERY = 10.0
"""Seconds between looks for rows set aside when there were none; another relay may have set some aside."""


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
        try:
            while not self._stop.is_set():
                tick()
                if not self.lock.acquire():
                    self._stop.wait(LOOK_EVERY)
                    continue
                self._release_due()
                if self.publish_pending() == 0 and not self._stop.is_set():
                    self._database.wakeup.wait(LOOK_EVERY)
            if self.lock.acquire():
                # What the last handlers wrote before the stop.
                self.publish_pending()
        finally:
            self.lock.release()

    def publish_pending(self) -> int:
        """Publish the oldest unpublished rows; return how many left the outbox's hot part."""
        with self._database.reading() as session:
            rows = outbox.pending(session, ROWS_AT_ONCE)
        if not rows:
            return 0
        outcomes = self._broker.publish([message for _, message in rows])
        return self._mark(rows, outcomes)

    def _mark(self, rows: Sequence[tuple[int, Message]], outcomes: Sequence[Outcome]) -> int:
        numbers: dict[Outcome, list[int]] = {outcome: [] for outcome in Outcome}
        events: Counter[tuple[str, Outcome]] = Counter()
        for (number, message), outcome in zip(rows, outcomes, strict=True):
            numbers[outcome].append(number)
            events[message.routing_key, outcome] += message.events
        for (event_type, outcome), count in events.items():
            self._metrics.published(event_type, outcome.name.lower(), count)
        now = self._clock.now()
        with self._database.writing() as session:
            if numbers[Outcome.CONFIRMED]:
                outbox.mark_published(session, numbers[Outcome.CONFIRMED], now)
            if numbers[Outcome.UNROUTABLE]:
                outbox.mark_unroutable(session, numbers[Outcome.UNROUTABLE], now)
            if numbers[Outcome.REFUSED]:
                outbox.mark_refused(session, numbers[Outcome.REFUSED], now)
        if numbers[Outcome.UNROUTABLE] or numbers[Outcome.REFUSED]:
            self._look_again_at = 0.0
        self._warn(numbers)
        return len(rows) - len(numbers[Outcome.UNKNOWN])

    def _warn(self, numbers: dict[Outcome, list[int]]) -> None:
        """Tell of rows that could not be published; of one that is tried again and again, once."""
        for outcome in (Outcome.UNROUTABLE, Outcome.REFUSED, Outcome.UNKNOWN):
            new = [number for number in numbers[outcome] if number not in self._told]
            if new:
                self._log.warning("outbox_not_published", outcome=outcome.name.lower(), rows=len(new))
        self._told.update(numbers[Outcome.UNROUTABLE], numbers[Outcome.REFUSED])
        self._told.difference_update(numbers[Outcome.CONFIRMED])

    def _release_due(self) -> None:
        """Let delayed and unroutable rows come back in time, also while there is always something else to publish."""
        if time.monotonic() < self._look_again_at:
            return
        with self._database.reading() as session:
            due, waiting = outbox.any_due(session, self._clock.now()), outbox.any_waiting(session)
        self._look_again_at = time.monotonic() + (LOOK_EVERY if waiting else LOOK_FOR_WAITING_EVERY)
        if due:
            with self._database.writing() as session:
                outbox.release_due(session, self._clock.now())
