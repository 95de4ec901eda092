"""Two small services on the chassis, run as real processes that can be told to die at a chosen step.

The producer takes commands and sends each as an event; the consumer has an effect for each and answers. Nothing in
their tables is unique, so an effect that happens twice is there twice. The chassis is used as it is: the steps to die
at are found by wrapping the broker and by listening to the engine.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

import click
import msgspec
from prometheus_client import CollectorRegistry
from sqlalchemy import Column, Integer, MetaData, Table, event, insert

from service_chassis.clock import SystemClock
from service_chassis.database import Database
from service_chassis.logs import make_log
from service_chassis.messaging.broker import Broker, Delivery, Message, Outcome, Subscription
from service_chassis.messaging.connect import connect
from service_chassis.messaging.envelope import Event, Outgoing
from service_chassis.messaging.subscriptions import Subscription as Subscribed
from service_chassis.messaging.subscriptions import Subscriptions, on
from service_chassis.messaging.topology import Topology, consuming, publishing
from service_chassis.metrics import Metrics
from service_chassis.scheduler import Job
from service_chassis.unit_of_work import UnitOfWork, Units
from service_chassis.worker import Worker, WorkerParts

PRODUCER, CONSUMER = "rig-producer", "rig-consumer"
STEPS = ("received", "written", "committed", "acknowledged", "published")
"""What has just happened when a process dies: messages taken, everything written and not committed, committed and not
acknowledged, acknowledged, confirmed by the broker and not marked."""
TICK = timedelta(milliseconds=100)

metadata = MetaData()
commands = Table("commands", metadata, Column("number", Integer, nullable=False))
effects = Table("effects", metadata, Column("number", Integer, nullable=False))
answers = Table("answers", metadata, Column("number", Integer, nullable=False))


class _Numbered(msgspec.Struct, frozen=True):
    number: int

    @property
    def subject(self) -> str:
        return str(self.number)


class Commanded(_Numbered, frozen=True):
    type: ClassVar[str] = "rig.commanded.v1"
    exchange: ClassVar[str] = "rig.commands"
    source: ClassVar[str] = f"/{PRODUCER}"


class Applied(_Numbered, frozen=True):
    type: ClassVar[str] = "rig.applied.v1"
    exchange: ClassVar[str] = "rig.answers"
    source: ClassVar[str] = f"/{CONSUMER}"


CONTRACTS = (Commanded, Applied)


def command(uow: UnitOfWork, number: int) -> None:
    """Accept a command, and tell of it."""
    uow.session.execute(insert(commands).values(number=number))
    uow.publish(Outgoing(Commanded(number)))


def have_effect(occurred: Event, uow: UnitOfWork) -> None:
    uow.session.execute(insert(effects).values(number=occurred.data.number))
    uow.publish(Outgoing(Applied(occurred.data.number)))


def note_answer(occurred: Event, uow: UnitOfWork) -> None:
    uow.session.execute(insert(answers).values(number=occurred.data.number))


SUBSCRIPTIONS = {PRODUCER: on(Applied, note_answer), CONSUMER: on(Commanded, have_effect)}
EXCHANGES = {PRODUCER: Commanded.exchange, CONSUMER: Applied.exchange}


def topology() -> Topology:
    """Return everything the two declare on the broker."""
    queues = [
        consuming(f"{service}.events", [(subscription.contract.exchange, subscription.contract.type)])
        for service, subscription in SUBSCRIPTIONS.items()
    ]
    return sum([*map(publishing, EXCHANGES.values()), *queues], Topology())


class Fate:
    """When the process dies: the first time, or a later one, that it comes to a step."""

    def __init__(self, step: str | None, times: int) -> None:
        self._step = step
        self._left = times

    def passes(self, step: str) -> None:
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class MortalBroker:
    """The real broker, except that coming back from it may be fatal, and that what it does is told."""

    def __init__(self, broker: Broker, service: str, fate: Fate) -> None:
        self._broker = broker
        self._service = service
        self._fate = fate

    def declare(self, topology: Topology) -> frozenset[str]:
        return self._broker.declare(topology)

    def publish(self, messages: Sequence[Message], timeout: float = 10) -> list[Outcome]:
        outcomes = self._broker.publish(messages, timeout)
        tell(self._service, "published", ids=[message.message_id for message in messages])
        self._fate.passes("published")
        return outcomes

    def subscribe(self, queue: str, *, prefetch: int = 200) -> Subscription:
        return MortalSubscription(self._broker.subscribe(queue, prefetch=prefetch), self._service, self._fate)

    def depth(self, queue: str) -> int:
        return self._broker.depth(queue)

    def close(self) -> None:
        self._broker.close()


class MortalSubscription:
    def __init__(self, subscription: Subscription, service: str, fate: Fate) -> None:
        self._subscription = subscription
        self._service = service
        self._fate = fate

    def take(self, limit: int, timeout: float) -> list[Delivery]:
        deliveries = self._subscription.take(limit, timeout)
        if deliveries:
            tell(self._service, "received", ids=[delivery.message_id for delivery in deliveries])
            self._fate.passes("received")
        return deliveries

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            self._fate.passes("committed")
        self._subscription.acknowledge(deliveries)
        if deliveries:
            self._fate.passes("acknowledged")

    def close(self) -> None:
        self._subscription.close()


def tell(service: str, what: str, **details: Any) -> None:
    """Write a line that is complete even if the process dies right after it."""
    line = {"service": service, "event": what, "pid": os.getpid(), "at": time.monotonic(), **details}
    os.write(sys.stderr.fileno(), json.dumps(line).encode() + b"\n")


def units(database_url: str) -> Units[UnitOfWork]:
    return Units(Database(database_url), UnitOfWork, SystemClock())


def mortal(subscription: Subscribed, fate: Fate) -> Subscribed:
    """Return a subscription whose transactions may end the process when all is written but not committed."""

    def handle(occurred: Event, uow: UnitOfWork) -> None:
        subscription.handler(occurred, uow)
        event.listen(uow.session, "before_commit", lambda _: fate.passes("written"), once=True)

    return on(subscription.contract, handle)


@click.command()
@click.argument("service", type=click.Choice(list(SUBSCRIPTIONS)))
@click.option("--database", "database_url", required=True)
@click.option("--broker", "broker_url", required=True)
@click.option("--die", type=click.Choice(STEPS))
@click.option("--times", default=1)
def main(service: str, database_url: str, broker_url: str, die: str | None, times: int) -> None:
    """Run the worker of one of the two services until told to stop, or until its fate."""
    fate = Fate(die, times)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    own = units(database_url)
    parts = WorkerParts(
        service=service,
        exchange=EXCHANGES[service],
        units=own,
        broker=MortalBroker(connect(broker_url, name=service), service, fate),
        subscriptions=Subscriptions([mortal(SUBSCRIPTIONS[service], fate)], CONTRACTS),
        jobs=[Job("tick", TICK, lambda: tell(service, "ticked"))],
        log=make_log(service),
        metrics=Metrics(CollectorRegistry(), service),
        stop=stop,
    )
    ended = Worker(parts).run()
    own.database.close()
    sys.exit(0 if ended else 1)


if __name__ == "__main__":
    main()
