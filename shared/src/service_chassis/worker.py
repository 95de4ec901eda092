"""The worker process: consumer, outbox relay, scheduler and heartbeat, each in a supervised thread.

Stop order: stop intake, finish handlers, flush acknowledgements, stop the relay, close. The relay goes last, so that
what the last handlers wrote is still published.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import delete

from service_chassis import process
from service_chassis.breaker import USUAL, BreakerRules
from service_chassis.database.statements import upsert
from service_chassis.http.answer_store import forget_keys
from service_chassis.logs import Log
from service_chassis.loop import Loop
from service_chassis.messaging import failures, inbox, outbox
from service_chassis.messaging.broker import Broker, BrokerUnavailable
from service_chassis.messaging.consumer import Consumer
from service_chassis.messaging.foreign import ForeignConsumer, ForeignQueue
from service_chassis.messaging.guarded import GuardedBroker
from service_chassis.messaging.relay import Relay
from service_chassis.messaging.subscriptions import Subscriptions
from service_chassis.messaging.tables import heartbeats
from service_chassis.messaging.topology import Topology, consuming, publishing
from service_chassis.metrics import Metrics
from service_chassis.retry import Backoff
from service_chassis.scheduler import Job, Scheduler, UnitJob
from service_chassis.unit_of_work import Units

HEARTBEAT_EVERY = 5.0
RETRY_EVERY = timedelta(seconds=5)
FIRST_CONTACT_EVERY = 0.5
"""Seconds between heartbeats until the broker answered for the first time, so that health tells it soon."""
STUCK_AFTER = 60.0
"""Seconds without a tick after which a loop counts as stuck; the longest single transaction is 30 s."""
STOP_WITHIN = 15.0
"""Seconds a worker gives its threads to end; what is unfinished then is delivered again."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the backbone's tables keep rows. The inbox remembers longer than any replay reaches."""

    published: timedelta = timedelta(hours=24)
    unroutable: timedelta = timedelta(days=7)
    """Also what nobody wants names people, who may have been purged since."""
    inbox: timedelta = timedelta(days=7)
    idempotency_keys: timedelta = timedelta(hours=24)
    dead_letters: timedelta = timedelta(days=7)
    heartbeats: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a service's bootstrap gives its worker."""

    service: str
    exchange: str
    units: Units[Any]
    broker: Broker
    subscriptions: Subscriptions
    jobs: Sequence[Job | UnitJob]
    log: Log
    metrics: Metrics
    stop: threading.Event
    backoff: Backoff = field(default_factory=Backoff)
    retention: Retention = field(default_factory=Retention)
    breaker: BreakerRules = USUAL
    foreign: Sequence[ForeignQueue] = ()
    """Queues besides the service's own, on which others publish in a form of their own."""
    loops: Mapping[str, Callable[[Callable[[], None]], None]] = field(default_factory=dict)
    """What else goes on in every worker, by name, until `stop` is set; each in a supervised thread."""

    @property
    def queue(self) -> str:
        return f"{self.service}.events"

    @property
    def topology(self) -> Topology:
        """Return everything this service needs on the broker."""
        own = sum((queue.topology for queue in self.foreign), publishing(self.exchange))
        routes = self.subscriptions.routes()
        return own + consuming(self.queue, routes) if routes else own


class Worker:
    """Everything of a service that is not answering requests."""

    def __init__(self, parts: WorkerParts) -> None:
        self._parts = parts
        self._log = parts.log
        self._stop = parts.stop
        self._stop_relay = threading.Event()
        self._declared = threading.Event()
        self._broker_at: float | None = None
        self._database_at: float | None = None
        self._broker = broker = GuardedBroker(parts.broker, parts.breaker)
        parts.metrics.watch(broker.breaker)
        database = parts.units.database
        self.consumer = Consumer(
            parts.service,
            parts.queue,
            broker,
            parts.units,
            parts.subscriptions,
            log=parts.log,
            metrics=parts.metrics,
            backoff=parts.backoff,
            stop=parts.stop,
        )
        self.foreign = [
            ForeignConsumer(
                parts.service,
                queue,
                broker,
                parts.units,
                log=parts.log,
                metrics=parts.metrics,
                stop=parts.stop,
            )
            for queue in parts.foreign
        ]
        self.relay = Relay(
            database, broker, parts.units.clock, log=parts.log, metrics=parts.metrics, stop=self._stop_relay
        )
        self.scheduler = Scheduler(
            self._jobs(), database.lock("scheduler"), log=parts.log, metrics=parts.metrics, stop=parts.stop
        )
        intake = [Loop("scheduler", self.scheduler.run, parts.log, parts.stop)]
        intake.append(Loop("heartbeat", self._beat, parts.log, parts.stop))
        if parts.subscriptions.routes():
            intake.append(Loop("consumer", partial(self._consume, self.consumer), parts.log, parts.stop))
        intake += [
            Loop(f"consumer {consumer.queue}", partial(self._consume, consumer), parts.log, parts.stop)
            for consumer in self.foreign
        ]
        intake += [Loop(name, run, parts.log, parts.stop) for name, run in parts.loops.items()]
        self._intake = intake
        self._relay_loop = Loop("relay", self._publish, parts.log, self._stop_relay)

    @property
    def exchange(self) -> str:
        """The exchange to which everything of this service is published."""
        return self._parts.exchange

    @property
    def topology(self) -> Topology:
        """Everything this service needs on the broker."""
        return self._parts.topology

    @property
    def age(self) -> float:
        """Seconds since the slowest loop last came round."""
        return max(loop.age for loop in (*self._intake, self._relay_loop))

    @property
    def alive(self) -> bool:
        return self.age < STUCK_AFTER

    @property
    def broker_age(self) -> float | None:
        """Seconds since the last answer of the broker, None before the first."""
        return None if self._broker_at is None else time.monotonic() - self._broker_at

    @property
    def database_age(self) -> float | None:
        """Seconds since the last answer of the database, None before the first."""
        return None if self._database_at is None else time.monotonic() - self._database_at

    def start(self) -> None:
        for loop in (*self._intake, self._relay_loop):
            loop.start()

    def stop(self, within: float = STOP_WITHIN) -> bool:
        """End in order; say whether everything ended in time."""
        deadline = time.monotonic() + within
        self._stop.set()
        ended = [loop.join(deadline) for loop in self._intake]
        self._stop_relay.set()
        self._parts.units.database.wakeup.signal()
        ended.append(self._relay_loop.join(deadline + 2))
        self._broker.close()
        return all(ended)

    def run(self) -> bool:
        """Work until the stop event is set, then end in order."""
        self.start()
        self._log.info("worker_started", queue=self._parts.queue)
        process.wait_for(self._stop)
        ended = self.stop()
        self._log.info("worker_stopped", in_time=ended)
        return ended

    def _consume(self, consumer: Consumer, tick: Callable[[], None]) -> None:
        self.declare()
        consumer.run(tick)

    def _publish(self, tick: Callable[[], None]) -> None:
        self.declare()
        self.relay.run(tick)

    def declare(self) -> None:
        """Declare the topology, which may be new to the broker after it was restarted or rebuilt.

        Raises BrokerUnavailable.
        """
        self._broker.declare(self._parts.topology)
        self._broker_at = time.monotonic()
        if not self._declared.is_set():
            with self._parts.units.write() as uow:
                outbox.release_unroutable(uow.session)
            self._declared.set()

    def _beat(self, tick: Callable[[], None]) -> None:
        while not self._stop.is_set():
            tick()
            reached = self._heartbeat(self._depth())
            self._stop.wait(HEARTBEAT_EVERY if reached else FIRST_CONTACT_EVERY)

    def _depth(self) -> int | None:
        if not self._parts.subscriptions.routes():
            return None
        try:
            depth = self._broker.depth(self._parts.queue)
        except BrokerUnavailable:
            return None
        self._broker_at = time.monotonic()
        return depth

    def _heartbeat(self, depth: int | None) -> bool:
        """Note how the worker is; say whether it was noted that the broker has answered."""
        parts = self._parts
        with parts.units.write() as uow:
            age = self.broker_age
            row = {
                "worker": f"{socket.gethostname()}:{os.getpid()}",
                "beat_at": uow.now,
                "broker_at": None if age is None else uow.now - timedelta(seconds=age),
                "broker_state": self._broker.breaker.state.value,
                "queue_depth": depth,
                "holds": "scheduler" if self.scheduler.active else "",
            }
            insert = upsert(uow.session, heartbeats).values(row)
            uow.session.execute(insert.on_conflict_do_update(index_elements=[heartbeats.c.worker], set_=row))
        # Counting a long backlog takes a while, in which nobody should have to wait for a lock of ours.
        with parts.units.read() as uow:
            waiting, failed = outbox.backlog(uow.session), failures.totals(uow.session)
        self._database_at = time.monotonic()
        parts.metrics.backlog(waiting, failed, depth)
        return age is not None

    def _jobs(self) -> list[Job]:
        units = self._parts.units
        own = [job.bound(units) if isinstance(job, UnitJob) else job for job in self._parts.jobs]
        backbone = [
            Job("outbox.forget", timedelta(minutes=1), self._forget),
            # A binding that was removed by hand would otherwise be missed until the next start.
            Job("topology.declare", timedelta(minutes=1), self.declare),
        ]
        if self._parts.subscriptions.routes():
            backbone += [
                Job("failures.retry", RETRY_EVERY, self.consumer.retry_failed),
                Job("failures.drain_dead", timedelta(seconds=30), self.consumer.drain_dead),
            ]
        backbone += [
            Job(f"failures.retry {consumer.queue}", RETRY_EVERY, consumer.retry_failed) for consumer in self.foreign
        ]
        return own + backbone

    def _forget(self) -> bool:
        """Delete what the backbone keeps no longer, a bounded piece at a time; say whether there is more."""
        keep = self._parts.retention
        with self._parts.units.write() as uow:
            session, now = uow.session, uow.now
            deleted = outbox.forget_published(session, now - keep.published)
            deleted += inbox.forget(session, now - keep.inbox)
            deleted += forget_keys(session, now - keep.idempotency_keys)
            expired = failures.drop(session, failures.Filter(until=now - keep.dead_letters))
            session.execute(delete(heartbeats).where(heartbeats.c.beat_at < now - keep.heartbeats))
            unwanted = outbox.forget_unroutable(session, now - keep.unroutable)
        if unwanted:
            self._log.warning("unroutable_expired", count=unwanted)
        if expired:
            self._log.warning("dead_letters_expired", count=expired)
        return deleted >= 5_000
