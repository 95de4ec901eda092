"""A service that publishes and consumes the sample events, moved step by step by a test."""

import io
import json
import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Row

from service_chassis.breaker import USUAL, BreakerRules
from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.logs import make_log
from service_chassis.messaging import failures, outbox
from service_chassis.messaging.broker import Broker, Delivery
from service_chassis.messaging.consumer import Consumer
from service_chassis.messaging.envelope import Contract, NewMessage, Outgoing, encoded, encoded_batch
from service_chassis.messaging.relay import Relay
from service_chassis.messaging.subscriptions import Subscription, Subscriptions
from service_chassis.messaging.topology import consuming, publishing
from service_chassis.metrics import Metrics
from service_chassis.retry import Backoff
from service_chassis.scheduler import Job, UnitJob
from service_chassis.testing.conformance import sample
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import UnitOfWork, Units
from service_chassis.worker import Worker, WorkerParts

BACKOFF = Backoff(first=timedelta(seconds=10), factor=2, jitter=0, attempts=3)


class Backbone:
    """All there is between a commit in one service and the effect in another, here with one database for both."""

    def __init__(self, database: Database, broker: Broker, clock: ManualClock) -> None:
        self.database = database
        self.broker = broker
        self.clock = clock
        self.units = Units(database, UnitOfWork, clock)
        self.metrics = Metrics(CollectorRegistry(), sample.SERVICE)
        self.stop = threading.Event()
        self._lines = io.StringIO()
        self.log = make_log(sample.SERVICE, stream=self._lines)
        with database.writing() as session:
            sample.metadata.create_all(session.connection())
        broker.declare(publishing(sample.EXCHANGE))

    def publish(self, *events: Contract) -> None:
        """Commit events, each as a message of its own."""
        with self.units.write() as uow:
            for event in events:
                uow.publish(Outgoing(event))

    def publish_batch(self, *events: Contract) -> None:
        """Commit events, those of one type as one message."""
        with self.units.write() as uow:
            uow.publish_all(map(Outgoing, events))

    def relay(self) -> None:
        """Bring what waits in the outbox and is due to the broker."""
        with self.database.writing() as session:
            outbox.release_due(session, self.clock.now())
        relay = self.new_relay()
        while relay.publish_pending():
            pass

    def consume(self, consumer: Consumer, messages: int) -> None:
        """Take in so many messages, over a subscription of its own."""
        taken = 0

        def enough() -> bool:
            nonlocal taken
            taken += consumer.take(hold, timeout=0.05)
            return taken >= messages

        with closing(self.broker.subscribe(sample.QUEUE)) as hold:
            wait_until(enough)

    def bring(self, consumer: Consumer, *events: Contract) -> None:
        """Bring events, each as a message of its own, all the way from the commit to the consumer."""
        self.publish(*events)
        self.relay()
        self.consume(consumer, len(events))

    def retry(self, consumer: Consumer, *, after: float = 0) -> None:
        """Move the clock by some seconds and do what the scheduler does with failed messages."""
        self.clock.advance(timedelta(seconds=after))
        while consumer.retry_failed():
            pass

    def consumer(self, *subscriptions: Subscription, catalogue: Iterable[type[Any]] = sample.CATALOGUE) -> Consumer:
        """Return a consumer of the service's queue, which is declared and bound for it."""
        known = Subscriptions(subscriptions, catalogue)
        self.broker.declare(consuming(sample.QUEUE, known.routes()))
        return Consumer(
            sample.SERVICE,
            sample.QUEUE,
            self.broker,
            self.units,
            known,
            log=self.log,
            metrics=self.metrics,
            backoff=BACKOFF,
            stop=self.stop,
        )

    def new_relay(self, *, database: Database | None = None, broker: Any = None) -> Relay:
        return Relay(
            database or self.database,
            broker or self.broker,
            self.clock,
            log=self.log,
            metrics=self.metrics,
            stop=self.stop,
        )

    def worker(
        self, *subscriptions: Subscription, jobs: Iterable[Job | UnitJob] = (), breaker: BreakerRules = USUAL
    ) -> Worker:
        parts = WorkerParts(
            service=sample.SERVICE,
            exchange=sample.EXCHANGE,
            units=self.units,
            broker=self.broker,
            subscriptions=Subscriptions(subscriptions, sample.CATALOGUE),
            jobs=tuple(jobs),
            log=self.log,
            metrics=self.metrics,
            stop=self.stop,
            backoff=BACKOFF,
            breaker=breaker,
        )
        return Worker(parts)

    def effects(self) -> list[str]:
        """Return whose effects there are, each as often as it happened."""
        with self.units.read() as uow:
            return sample.accounts(uow)

    def outbox(self) -> dict[str, int]:
        """Return how many messages are not published, by state."""
        with self.units.read() as uow:
            return outbox.backlog(uow.session)

    def failed(self, state: str = failures.RETRYING) -> list[Row[Any]]:
        """Return failed messages, newest first."""
        with self.units.read() as uow:
            return failures.listed(uow.session, failures.Filter(), state=state)

    def dead(self) -> list[Row[Any]]:
        return self.failed(failures.DEAD)

    def lines(self, event: str) -> list[Mapping[str, Any]]:
        """Return the lines of the log that tell of an event."""
        parsed = map(json.loads, self._lines.getvalue().splitlines())
        return [line for line in parsed if line["event"] == event]

    def counted(self, outcome: str) -> float:
        """Return how many events were taken in with this outcome."""
        samples = (sample for metric in self.metrics.registry.collect() for sample in metric.samples)
        return sum(s.value for s in samples if s.labels.get("outcome") == outcome and s.name == "events_consumed_total")


def delivery(message: NewMessage) -> Delivery:
    """Return a message as a broker delivers it."""
    return Delivery(
        tag=0,
        message_id=str(message.id),
        exchange=message.exchange,
        routing_key=message.routing_key,
        content_type=message.content_type,
        body=message.body.encode(),
        events=message.events,
    )


def delivered(clock: ManualClock, *events: Contract) -> list[Delivery]:
    """Return events as deliveries, each of its own."""
    return [delivery(encoded(Outgoing(event), clock.now())) for event in events]


def delivered_batch(clock: ManualClock, *events: Contract) -> Delivery:
    """Return events of one type as one delivery."""
    return delivery(encoded_batch([Outgoing(event) for event in events], clock.now()))


def redrive(backbone: Backbone, chosen: failures.Filter) -> int:
    """Give dead letters a fresh set of attempts; return how many."""
    with backbone.units.write() as uow:
        return failures.redrive(uow.session, chosen, uow.now)
