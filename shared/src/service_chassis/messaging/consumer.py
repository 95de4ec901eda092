"""The consumer: takes what has arrived, handles it in one transaction, and acknowledges after the commit.

When the transaction fails, its messages are redone one by one, and a batch event by event, so that one bad event costs
the others a little time and nothing else.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

from service_chassis import correlation
from service_chassis.database import DatabaseUnavailable, TransactionConflict
from service_chassis.logs import Log
from service_chassis.messaging import failures, inbox
from service_chassis.messaging.broker import PREFETCH, Broker, Delivery
from service_chassis.messaging.broker import Subscription as Hold
from service_chassis.messaging.envelope import Event
from service_chassis.messaging.incoming import Incoming, NotSubscribed, Unreadable, by_type, first_of_each, read
from service_chassis.messaging.subscriptions import Drop, Retry, Subscriptions
from service_chassis.metrics import Metrics
from service_chassis.retry import Backoff
from service_chassis.unit_of_work import UnitOfWork, Units

EVENTS_AT_ONCE = 500
LOOK_EVERY = 1.0
"""Seconds after which a consumer with nothing to do looks whether it is to stop."""
DATABASE_RETRY = 1.0
CONFLICT_RETRY = 0.05


class _Stopped(Exception):
    """The process ends before this work could be committed; the broker will deliver it again."""


class Consumer:
    """Consumes one queue on behalf of one service.

    A queue of another shape has a consumer that derives from this and overrides `read`, `given_up` or `prefetch`.
    """

    prefetch = PREFETCH

    def __init__(
        self,
        name: str,
        queue: str,
        broker: Broker,
        units: Units[Any],
        subscriptions: Subscriptions,
        *,
        log: Log,
        metrics: Metrics,
        backoff: Backoff,
        stop: threading.Event,
    ) -> None:
        self.name = name
        self.queue = queue
        self._broker = broker
        self._units = units
        self._subscriptions = subscriptions
        self._log = log
        self._metrics = metrics
        self._backoff = backoff
        self._stop = stop
        self._tick: Callable[[], None] = lambda: None

    def run(self, tick: Callable[[], None]) -> None:
        """Consume until stopped; raises BrokerUnavailable when the subscription breaks."""
        self._tick = tick
        hold = self._broker.subscribe(self.queue, prefetch=self.prefetch)
        try:
            while not self._stop.is_set():
                self._tick()
                self.take(hold, timeout=LOOK_EVERY)
        finally:
            hold.close()

    def take(self, hold: Hold, timeout: float) -> int:
        """Handle what is there; return how many messages that was."""
        deliveries = hold.take(min(EVENTS_AT_ONCE, self.prefetch), timeout)
        if deliveries:
            try:
                self._settle(lambda: self.handle(deliveries))
            except _Stopped:
                return 0
            hold.acknowledge(deliveries)
        return len(deliveries)

    def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Take in deliveries, each exactly once, whatever becomes of it: done, failed or parked."""
        items = [item for delivery in deliveries if (item := self._read(delivery)) is not None]
        if len(items) == 1:
            self._alone(items[0])
            return
        try:
            self._together(items)
        except (DatabaseUnavailable, TransactionConflict):
            raise
        except Exception as error:  # noqa: BLE001  # A handler may raise anything; the cause is found one by one.
            self._log.info("batch_redone_one_by_one", messages=len(items), error=repr(error))
            for item in items:
                self._settle(partial(self._alone, item))

    def retry_failed(self) -> bool:
        """Try failed messages that are due again; say whether there may be more that are due now."""
        with self._units.read() as uow:
            rows = failures.due(uow.session, self.name, uow.now, failures.DUE_AT_ONCE)
        tried = 0
        for row in rows:
            if self._stop.is_set():
                break
            try:
                self._retry(row)
                tried += 1
            except TransactionConflict as error:
                # It stays due, and keeps neither the others waiting nor us from pausing.
                self._log.info("retry_postponed", type=row.type, message_id=row.message_id, error=str(error.__cause__))
            except _Stopped:
                break
        return tried == failures.DUE_AT_ONCE

    def drain_dead(self) -> bool:
        """Move what the broker gave up on into the table of failed messages; say whether there may be more."""
        hold = self._broker.subscribe(f"{self.queue}.dead")
        try:
            deliveries = hold.take(EVENTS_AT_ONCE, timeout=0.2)
            with self._units.write() as uow:
                for delivery in deliveries:
                    detail = "It was delivered too often without an answer."
                    failures.park(uow.session, self.name, delivery, reason="delivery_limit", detail=detail, now=uow.now)
            hold.acknowledge(deliveries)
        finally:
            hold.close()
        return bool(deliveries)

    def read(self, delivery: Delivery) -> Incoming:
        """Return what a message holds. Raises Unreadable, NotSubscribed."""
        return read(delivery, self._subscriptions)

    def given_up(self, uow: Any, delivery: Delivery) -> None:
        """Take note that a message has just become a dead letter, in the transaction that made it one."""

    def _read(self, delivery: Delivery) -> Incoming | None:
        try:
            return self.read(delivery)
        except NotSubscribed:
            self._metrics.consumed(delivery.routing_key, "not_subscribed", delivery.events)
        except Unreadable as error:
            self._park(delivery, error)
        except Exception as error:  # noqa: BLE001  # What bytes from outside do to a reader must not stop the next message.
            self._park(delivery, Unreadable("undecodable", repr(error)))
        return None

    def _park(self, delivery: Delivery, why: Unreadable) -> None:
        with self._units.write() as uow:
            failures.park(uow.session, self.name, delivery, reason=why.reason, detail=str(why), now=uow.now)
            self.given_up(uow, delivery)
        self._metrics.consumed(delivery.routing_key, "parked", 1)
        with _as_given(delivery.correlation_id):
            self._log.warning(
                "message_parked", type=delivery.routing_key, message_id=delivery.message_id, reason=why.reason
            )

    def _together(self, items: Sequence[Incoming]) -> None:
        """Handle all items in one transaction: one inbox insert, and one call per batch handler."""
        if not items:
            return
        with self._units.write() as uow:
            fresh = inbox.admit(uow.session, self.name, [item.inbox_id for item in items], uow.now)
            split = self._left_of_split(uow, [item for item in items if item.is_batch and item.inbox_id not in fresh])
            for event_type, events in by_type([*first_of_each(items, fresh), *split]).items():
                self._dispatch(event_type, events, uow)
        for item in items:
            self._handled(item, fresh=item.inbox_id in fresh)

    def _left_of_split(self, uow: UnitOfWork, batches: Sequence[Incoming]) -> list[Incoming]:
        """Return events of batches split earlier that have not been handled yet, because the process ended there."""
        if not batches:
            return []
        split = inbox.split_batches(uow.session, self.name, [batch.inbox_id for batch in batches])
        events = [event for batch in batches if batch.inbox_id in split for event in batch.split()]
        fresh = inbox.admit(uow.session, self.name, [event.inbox_id for event in events], uow.now)
        return first_of_each(events, fresh)

    def _alone(self, item: Incoming) -> None:
        """Handle one message by itself; a failing batch goes on event by event, a failing event becomes a row."""
        try:
            self._together([item])
        except (DatabaseUnavailable, TransactionConflict):
            raise
        except Drop as drop:
            self._dropped(item, drop)
        except Exception as error:  # noqa: BLE001  # A handler may raise anything; whatever it is becomes a row.
            if item.is_batch:
                self._split(item)
            else:
                self._failed(item, error)

    def _split(self, batch: Incoming) -> None:
        with self._units.write() as uow:
            inbox.admit(uow.session, self.name, [batch.inbox_id], uow.now, mark=inbox.SPLIT)
        for event in batch.split():
            self._settle(partial(self._alone, event))

    def _failed(self, item: Incoming, error: Exception) -> None:
        postponed = isinstance(error, Retry)
        retry_in = error.after if isinstance(error, Retry) else self._delay(1)
        with self._units.write() as uow:
            failures.record(
                uow.session, self.name, item, error=error, now=uow.now, retry_in=retry_in, counts=not postponed
            )
        self._count(item, "postponed" if postponed else "failed")
        event = item.events[0]
        with correlation.correlated(_ids(event)):
            self._log.warning("event_failed", type=event.type, event_id=str(event.id), error=repr(error))

    def _dropped(self, item: Incoming, drop: Drop) -> None:
        if item.is_batch:
            self._split(item)
            return
        with self._units.write() as uow:
            inbox.admit(uow.session, self.name, [item.inbox_id], uow.now)
        self._count(item, "dropped")
        with correlation.correlated(_ids(item.events[0])):
            self._log.info("event_dropped", type=item.type, event_id=str(item.inbox_id), reason=drop.reason)

    def _retry(self, row: Any) -> None:
        try:
            item = self.read(failures.delivery_of(row))
            if item.is_batch:
                self._alone(item)
            with self._units.write() as uow:
                fresh = inbox.admit(uow.session, self.name, [item.inbox_id], uow.now)
                if fresh:
                    self._dispatch(item.type, item.events, uow)
                failures.settle(uow.session, row.id)
            self._handled(item, fresh=bool(fresh))
        except (DatabaseUnavailable, TransactionConflict, _Stopped):
            raise
        except (Drop, NotSubscribed) as unwanted:
            self._unwanted(row, unwanted)
        except Exception as error:  # noqa: BLE001  # A handler may raise anything; it is another failed attempt.
            self._failed_again(row, error)

    def _unwanted(self, row: Any, why: Drop | NotSubscribed) -> None:
        with self._units.write() as uow:
            failures.settle(uow.session, row.id)
        self._metrics.consumed(row.type, "dropped" if isinstance(why, Drop) else "not_subscribed", 1)

    def _failed_again(self, row: Any, error: Exception) -> None:
        with self._units.write() as uow:
            if isinstance(error, Retry):
                failures.failed_again(uow.session, row.id, error, uow.now, error.after, counts=False)
            else:
                delay = None if isinstance(error, Unreadable) else self._delay(row.attempts + 1)
                reason = error.reason if isinstance(error, Unreadable) else failures.HANDLER_FAILED
                failures.failed_again(uow.session, row.id, error, uow.now, delay, reason=reason)
                if delay is None:
                    self.given_up(uow, failures.delivery_of(row))
        self._metrics.consumed(row.type, "postponed" if isinstance(error, Retry) else "failed", 1)
        with _as_given(row.correlation_id):
            self._log.warning("event_failed_again", type=row.type, message_id=row.message_id, error=repr(error))

    def _delay(self, attempts: int) -> timedelta | None:
        """Return how long to wait after so many attempts, or None when they are used up."""
        return None if attempts >= self._backoff.attempts else self._backoff.delay(attempts)

    def _dispatch(self, event_type: str, events: list[Event], uow: UnitOfWork) -> None:
        subscription = self._subscriptions[event_type]
        if subscription.batch:
            with correlation.correlated(_ids(events[0])):
                subscription.call(events, uow)
            return
        for event in events:
            with correlation.correlated(_ids(event)):
                subscription.call([event], uow)

    def _settle(self, work: Callable[[], None]) -> None:
        """Do work until the database lets it commit; raises _Stopped when told to stop before that."""
        while True:
            # Waiting for the database, however long, is no reason to be restarted.
            self._tick()
            try:
                work()
            except TransactionConflict:
                pause = random.uniform(0, CONFLICT_RETRY)  # noqa: S311  # Spreads contenders, guards nothing.
            except DatabaseUnavailable as error:
                self._log.warning("consumer_paused", error=str(error.__cause__ or error))
                pause = DATABASE_RETRY
            else:
                return
            if self._stop.wait(pause):
                raise _Stopped

    def _handled(self, item: Incoming, *, fresh: bool) -> None:
        self._count(item, "handled" if fresh else "repeated")
        if not fresh:
            return
        if self._subscriptions[item.type].batch:
            with correlation.correlated(_ids(item.events[0])):
                self._log.info("batch_handled", type=item.type, message_id=str(item.inbox_id), events=len(item.events))
            return
        for event in item.events:
            with correlation.correlated(_ids(event)):
                self._log.info("event_handled", type=event.type, event_id=str(event.id))

    def _count(self, item: Incoming, outcome: str) -> None:
        self._metrics.consumed(item.type, outcome, len(item.events))


@contextmanager
def _as_given(correlation_id: str) -> Iterator[None]:
    """Log under the id a message came with, or under the one of the work in hand where it came with none."""
    given = correlation.accepted(correlation_id)
    with nullcontext() if given is None else correlation.correlated(correlation.Correlation(given)):
        yield


def _ids(event: Event) -> correlation.Correlation:
    return correlation.Correlation(event.correlation_id, str(event.id), correlation.next_traceparent(event.traceparent))
