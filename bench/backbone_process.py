"""The two workers of the backbone benchmark, as the chassis makes them: one publishes, one has the effect."""

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from prometheus_client import CollectorRegistry
from sqlalchemy import Column, Integer, MetaData, Table, Text, Uuid, event

from service_chassis import process
from service_chassis.clock import SystemClock
from service_chassis.database import Database
from service_chassis.database.migrations import migrate
from service_chassis.database.statements import insert_many
from service_chassis.logs import make_log
from service_chassis.messaging.connect import connect
from service_chassis.messaging.envelope import Event, Outgoing
from service_chassis.messaging.subscriptions import Subscriptions, on_batch
from service_chassis.messaging.topology import consuming
from service_chassis.metrics import Metrics
from service_chassis.unit_of_work import UnitOfWork, Units
from service_chassis.worker import Worker, WorkerParts

metadata = MetaData()
effects = Table(
    "effects",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("value", Integer, nullable=False),
)


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    type: ClassVar[str] = "bench.happened.v1"
    exchange: ClassVar[str] = "bench.events"
    source: ClassVar[str] = "/bench"
    value: int

    @property
    def subject(self) -> str:
        return str(self.value)


def fill(database: str, events: int) -> None:
    """Commit the events to publish, one row each."""
    units = _units(database)
    migrate(units.database)
    for start in range(0, events, 1_000):
        with units.write() as uow:
            for number in range(start, min(start + 1_000, events)):
                uow.publish(Outgoing(Happened(value=number)))
    units.database.close()


def prepare(database: str, broker: str) -> None:
    """Make the consumer's tables and queue."""
    units = _units(database)
    migrate(units.database)
    metadata.create_all(units.database.engine)
    units.database.close()
    link = connect(broker, name="bench-prepare")
    link.declare(consuming("bench-consume.events", [(Happened.exchange, Happened.type)]))
    link.close()


def emit(database: str, rate: int, seconds: int) -> list[float]:
    """Commit one event at a time at a steady rate, whether or not the others keep up; return when each was there."""
    units = _units(database)
    committed = []
    started = time.monotonic()
    for number in range(rate * seconds):
        time.sleep(max(0.0, started + number / rate - time.monotonic()))
        with units.write() as uow:
            uow.publish(Outgoing(Happened(value=number)))
        committed.append(time.time())
    units.database.close()
    return committed


def main(role: str, database: str, broker: str, times: str | None = None) -> None:
    process.tune()
    seen: list[tuple[int, float]] = []
    handler = Effect(seen if times else None)
    subscriptions = Subscriptions([on_batch(Happened, handler)] if role == "consume" else [], [Happened])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    service = f"bench-{role}"
    parts = WorkerParts(
        service=service,
        exchange="bench.events",
        units=_units(database),
        broker=connect(broker, name=service),
        subscriptions=subscriptions,
        jobs=[],
        log=make_log(service, level="WARNING"),
        metrics=Metrics(CollectorRegistry(), service),
        stop=stop,
    )
    Worker(parts).run()
    if times:
        Path(times).write_text("".join(f"{value} {at}\n" for value, at in seen))


class Effect:
    """Inserts a row per event and, when asked, notes when that was committed."""

    def __init__(self, seen: list[tuple[int, float]] | None) -> None:
        self._seen = seen

    def __call__(self, events: list[Event], uow: Any) -> None:
        columns = {
            "event_id": [e.id for e in events],
            "subject": [e.subject for e in events],
            "value": [e.data.value for e in events],
        }
        insert_many(uow.session, effects, columns)
        if self._seen is not None:
            event.listen(uow.session, "after_commit", lambda _: self._note(columns["value"]), once=True)

    def _note(self, values: list[int]) -> None:
        now = time.time()
        self._seen.extend((value, now) for value in values)  # type: ignore[union-attr]  # only called when there is a list


def _units(database: str) -> Units[UnitOfWork]:
    return Units(Database(database), UnitOfWork, SystemClock())


if __name__ == "__main__":
    main(*sys.argv[1:])
