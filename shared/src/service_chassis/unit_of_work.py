"""A unit of work: one transaction, one instant, and the events that commit with it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from service_chassis.clock import Clock
from service_chassis.database import Database
from service_chassis.messaging.envelope import NewMessage, Outgoing, batched, encoded, encoded_batch
from service_chassis.messaging.outbox import append


class UnitOfWork:
    """What a use case works with; services derive one that also carries their repositories.

    `now` is the same instant throughout. Events given to `publish` and `publish_all` are written to the outbox
    last, just before the commit, and exist for the world exactly if the commit does.
    """

    def __init__(self, session: Session, now: datetime) -> None:
        self.session = session
        self.now = now
        self.outgoing: list[NewMessage] = []
        self.afterwards: list[Callable[[], None]] = []

    def after_commit(self, step: Callable[[], None]) -> None:
        """Do something quick that cannot fail once everything is committed, such as telling a cache."""
        self.afterwards.append(step)

    def publish(self, event: Outgoing) -> None:
        """Publish one event as a message of its own."""
        self.outgoing.append(encoded(event, self.now))

    def publish_all(self, events: Iterable[Outgoing]) -> None:
        """Publish the events of a change of many aggregates as batches of one type each."""
        for batch in batched(events):
            self.outgoing.append(encoded_batch(batch, self.now))


U = TypeVar("U", bound=UnitOfWork)


class Units(Generic[U]):
    """Opens units of work of one service; only the edges (HTTP, consumer, scheduler, CLI) call this."""

    def __init__(self, database: Database, make: Callable[[Session, datetime], U], clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self._make = make

    @contextmanager
    def write(self) -> Iterator[U]:
        """Open a unit that commits at the end of the block, its events included, and then wakes the relay."""
        with self.database.writing() as session:
            unit = self._make(session, self.clock.now())
            yield unit
            session.flush()
            append(session, unit.outgoing, unit.now)
        if unit.outgoing:
            self.database.wakeup.signal()
        for step in unit.afterwards:
            step()

    @contextmanager
    def read(self) -> Iterator[U]:
        """Open a unit that only reads."""
        with self.database.reading() as session:
            yield self._make(session, self.clock.now())

    @contextmanager
    def ask(self) -> Iterator[U]:
        """Open a unit for a single question."""
        with self.database.asking() as session:
            yield self._make(session, self.clock.now())
