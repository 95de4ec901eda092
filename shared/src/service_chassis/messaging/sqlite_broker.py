"""A broker in one SQLite file, for the embedded run: the same port, for one machine.

A message is published when its transaction committed. A queue has one consumer at a time, held by an OS file lock;
another waits until it goes. So nothing has to be claimed in the file: what was taken and not acknowledged is simply
still there when the holder is gone.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.orm import Session

from service_chassis.database import Database, DatabaseUnavailable, Lock, TransactionConflict
from service_chassis.database.changes import Changes
from service_chassis.database.statements import insert_new
from service_chassis.messaging.broker import PREFETCH, BrokerUnavailable, Delivery, Message, Outcome, Subscription
from service_chassis.messaging.topology import Binding, Topology

metadata = MetaData()

queues = Table("queues", metadata, Column("name", Text, primary_key=True))
bindings = Table(
    "bindings",
    metadata,
    Column("exchange", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    Column("key", Text, primary_key=True),
)
messages = Table(
    "messages",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("queue", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("events", Integer, nullable=False),
    Column("correlation_id", Text, nullable=False, server_default=""),
    Column("body", LargeBinary, nullable=False),
    Index("messages_queue", "queue", "seq"),
    # A number is never given twice, so that a reader who remembers the last one misses nothing.
    sqlite_autoincrement=True,
)

WAITING = (
    select(messages)
    .where(messages.c.queue == bindparam("queue"), messages.c.seq > bindparam("after"))
    .order_by(messages.c.seq)
    .limit(bindparam("limit"))
    .execution_options(yield_per=20)
)
"""Made once, because it is asked each second while nothing happens."""

Route = tuple[str, str]

LOOK_EVERY = 1.0
"""Seconds after which a waiting consumer looks for messages of other processes."""


class SqliteBroker:
    def __init__(self, url: str) -> None:
        self._database = Database(url)
        if self._database.file is None:
            raise ValueError("The SQLite broker needs a sqlite:/// URL.")
        self._file = self._database.file
        self._database.make_folder()
        self._arrivals = _arrivals(self._file)
        with self._writing() as session:
            metadata.create_all(session.connection())
            _add_correlation_ids(session)

    def declare(self, topology: Topology) -> None:
        with self._writing() as session:
            insert_new(session, queues, {"name": [queue.name for queue in topology.queues]}, queues.c.name)
            routes = {name: [getattr(b, name) for b in topology.bindings] for name in ("exchange", "queue", "key")}
            insert_new(session, bindings, routes, bindings.c.queue)

    def unbind(self, exchange: str, queue: str, key: str) -> None:
        """Remove a binding that the topology no longer has."""
        row = (bindings.c.exchange == exchange) & (bindings.c.queue == queue) & (bindings.c.key == key)
        with self._writing() as session:
            session.execute(delete(bindings).where(row))

    def delete(self, topology: Topology) -> None:
        """Remove the queues of a topology and all messages in them."""
        names = [queue.name for queue in topology.queues]
        with self._writing() as session:
            session.execute(delete(messages).where(messages.c.queue.in_(names)))
            session.execute(delete(bindings).where(bindings.c.queue.in_(names)))
            session.execute(delete(queues).where(queues.c.name.in_(names)))

    def publish(self, messages_: Sequence[Message], timeout: float = 10) -> list[Outcome]:  # noqa: ARG002  # A commit needs no deadline here.
        if not messages_:
            return []
        with self._writing() as session:
            targets = _targets(session, messages_)
            rows = [_row(queue, message) for message in messages_ for queue in targets[_route(message)]]
            if rows:
                session.execute(insert(messages), rows)
        self._arrivals.announce()
        return [Outcome.CONFIRMED if targets[_route(message)] else Outcome.UNROUTABLE for message in messages_]

    def subscribe(self, queue: str, *, prefetch: int = PREFETCH) -> Subscription:  # noqa: ARG002  # Nothing is fetched ahead here.
        return _Subscription(self, queue)

    def depth(self, queue: str) -> int:
        self.require(queue)
        with self._reading() as session:
            return session.scalar(select(func.count()).select_from(messages).where(messages.c.queue == queue)) or 0

    def close(self) -> None:
        self._database.close()

    def waiting(self, queue: str, after: int, limit: int) -> list[Delivery]:
        """Return messages of a queue after a number, with at most about `limit` events."""
        taken: list[Delivery] = []
        events = 0
        with self._reading() as session:
            for row in session.execute(WAITING, {"queue": queue, "after": after, "limit": limit}):
                if taken and events + row.events > limit:
                    break
                taken.append(_delivery(row))
                events += row.events
        return taken

    def remove(self, queue: str, up_to: int) -> None:
        """Delete acknowledged messages: those of a queue up to a number."""
        with self._writing() as session:
            session.execute(delete(messages).where(messages.c.queue == queue, messages.c.seq <= up_to))

    def lock(self, queue: str) -> Lock:
        """Return the lock whose holder is the queue's consumer."""
        return self._database.lock(f"queue.{queue}")

    def require(self, queue: str) -> None:
        """Raise BrokerUnavailable unless a queue is declared."""
        with self._reading() as session:
            if session.scalar(select(queues.c.name).where(queues.c.name == queue)) is None:
                raise BrokerUnavailable(f"The queue {queue} is not declared.")

    def changes(self) -> Changes:
        """Return what tells whether somebody wrote to the file."""
        return Changes(self._file)

    def arrivals(self) -> int:
        """Return how many times something was published in this process."""
        return self._arrivals.count

    def wait(self, seen: int, timeout: float) -> None:
        """Return when more was published in this process than `seen`, or after `timeout` seconds."""
        self._arrivals.wait(seen, min(timeout, LOOK_EVERY))

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with _translated(), self._database.writing() as session:
            yield session

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with _translated(), self._database.reading() as session:
            yield session


class _Subscription:
    def __init__(self, broker: SqliteBroker, queue: str) -> None:
        broker.require(queue)
        self._broker = broker
        self._queue = queue
        self._lock = broker.lock(queue)
        self._last = 0
        self._seen = 0
        self._rests_until = 0.0
        self._changes = broker.changes()
        self._held = False
        self._closed = False

    def take(self, limit: int, timeout: float) -> list[Delivery]:
        if self._closed:
            raise BrokerUnavailable("The subscription was closed.")
        deadline = time.monotonic() + timeout
        while True:
            if taken := self._look(limit):
                return taken
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            self._broker.wait(self._seen, left)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        if deliveries:
            self._broker.remove(self._queue, up_to=deliveries[-1].tag)

    def close(self) -> None:
        self._closed = True
        self._held = False
        self._lock.release()

    def _look(self, limit: int) -> list[Delivery]:
        """Return what has come since the last look, which is repeated when there may be more, or after a while."""
        arrivals = self._broker.arrivals()
        if arrivals == self._seen and self._rests():
            return []
        self._seen = arrivals
        if self._ours() and (taken := self._broker.waiting(self._queue, self._last, limit)):
            self._last = taken[-1].tag
            self._rests_until = 0.0
            return taken
        self._rests_until = time.monotonic() + LOOK_EVERY
        return []

    def _rests(self) -> bool:
        """Say whether the last look found nothing, and nothing can have come from other processes since."""
        if not self._rests_until:
            return False
        return time.monotonic() < self._rests_until or (self._held and not self._changes.any())

    def _ours(self) -> bool:
        self._held = self._held or self._lock.acquire()
        return self._held


class _Arrivals:
    """Tells the consumers of one file in this process that something was published."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def announce(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, timeout)


# Publisher and consumer may be different services in one process; what they share is the file.
_by_file: WeakValueDictionary[Path, _Arrivals] = WeakValueDictionary()
_by_file_guard = threading.Lock()


def _arrivals(file: Path) -> _Arrivals:
    with _by_file_guard:
        return _by_file.setdefault(file.resolve(), _Arrivals())


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DatabaseUnavailable, TransactionConflict) as error:
        raise BrokerUnavailable("The broker's file cannot be used right now.", retry_after=1) from error


def _targets(session: Session, published: Sequence[Message]) -> dict[Route, tuple[str, ...]]:
    """Return the queues by exchange and routing key, as bound at this moment."""
    rows = session.execute(select(bindings))
    topology = Topology(bindings=tuple(Binding(row.exchange, row.queue, row.key) for row in rows))
    return {route: topology.queues_for(*route) for route in set(map(_route, published))}


def _route(message: Message) -> Route:
    return message.exchange, message.routing_key


def _add_correlation_ids(session: Session) -> None:
    """Add what files of earlier versions lack."""
    known = {column["name"] for column in inspect(session.connection()).get_columns(messages.name)}
    if messages.c.correlation_id.name not in known:
        session.execute(text("ALTER TABLE messages ADD COLUMN correlation_id TEXT NOT NULL DEFAULT ''"))


def _row(queue: str, message: Message) -> dict[str, object]:
    return {
        "queue": queue,
        "message_id": message.message_id,
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "content_type": message.content_type,
        "events": message.events,
        "correlation_id": message.correlation_id,
        "body": message.body,
    }


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        tag=row.seq,
        message_id=row.message_id,
        exchange=row.exchange,
        routing_key=row.routing_key,
        content_type=row.content_type,
        body=row.body,
        events=row.events,
        correlation_id=row.correlation_id,
    )
