"""A projection is the same in whatever order, however often and in whatever company its events arrive."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from sqlalchemy import MetaData, delete

from service_chassis.database import Database
from service_chassis.logs import make_log
from service_chassis.messaging import failures
from service_chassis.messaging.consumer import Consumer
from service_chassis.messaging.envelope import NewMessage, Outgoing, encoded, encoded_batch
from service_chassis.messaging.sqlite_broker import SqliteBroker
from service_chassis.messaging.subscriptions import Subscriptions
from service_chassis.metrics import Metrics
from service_chassis.retry import Backoff
from service_chassis.testing.conformance.backbone import delivery
from service_chassis.testing.databases import VERSIONS, sqlite_url
from service_chassis.unit_of_work import UnitOfWork, Units

U = TypeVar("U", bound=UnitOfWork)

History = Sequence[Outgoing | Sequence[Outgoing]]
"""Events in the order they happened in; those that travel in one message stand together."""


def check_projection(
    units: Units[U],
    subscriptions: Subscriptions,
    history: History,
    read: Callable[[U], Any],
    *,
    examples: int = 50,
) -> None:
    """Fail unless every order, duplication and replay of a history leads to what the history itself leads to.

    `read` returns the projection as something that can be compared. The database is emptied before each try.
    """
    deliveries = [delivery(_message(item, units)) for item in history]
    empty = _emptier(units.database)

    def outcome(arrivals: Sequence[Sequence[int]]) -> Any:
        empty()
        for together in arrivals:
            consumer.handle([deliveries[number] for number in together])
        with units.read() as uow:
            broken = failures.listed(uow.session, failures.Filter(), state=failures.RETRYING)
            assert not broken, f"{broken[0].type} failed: {broken[0].error}"
            return read(uow)

    @settings(max_examples=examples)
    @given(_arrivals(len(deliveries)))
    def every_arrival_leads_to_the_same(arrivals: list[list[int]]) -> None:
        assert outcome(arrivals) == expected

    with TemporaryDirectory() as folder:
        consumer = _consumer(units, subscriptions, Path(folder))
        expected = outcome([[number] for number in range(len(deliveries))])
        every_arrival_leads_to_the_same()


def _arrivals(count: int) -> st.SearchStrategy[list[list[int]]]:
    """Return how messages may arrive: all of them and some again, in any order, cut into any pieces."""
    numbers = list(range(count))
    again = st.lists(st.sampled_from(numbers), max_size=count)
    shuffled = again.flatmap(lambda more: st.permutations(numbers + more))
    return st.tuples(shuffled, st.integers(1, count)).map(lambda drawn: _pieces(*drawn))


def _pieces(numbers: Sequence[int], size: int) -> list[list[int]]:
    return [list(numbers[start : start + size]) for start in range(0, len(numbers), size)]


def _message(item: Outgoing | Sequence[Outgoing], units: Units[Any]) -> NewMessage:
    now = units.clock.now()
    return encoded(item, now) if isinstance(item, Outgoing) else encoded_batch(item, now)


def _emptier(database: Database) -> Callable[[], None]:
    """Return a function that deletes all rows but those that say how far the migrations have come."""
    found = MetaData()
    found.reflect(database.read_engine)
    tables = [table for table in reversed(found.sorted_tables) if not table.name.startswith(VERSIONS)]

    def empty() -> None:
        with database.writing() as session:
            for table in tables:
                session.execute(delete(table))

    return empty


def _consumer(units: Units[Any], subscriptions: Subscriptions, folder: Path) -> Consumer:
    return Consumer(
        "projection",
        "projection.events",
        SqliteBroker(sqlite_url(folder / "broker.db")),
        units,
        subscriptions,
        log=make_log("projection", level="ERROR"),
        metrics=Metrics(CollectorRegistry(), "projection"),
        backoff=Backoff(),
        stop=threading.Event(),
    )
