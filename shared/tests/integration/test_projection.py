from collections.abc import Iterator

import pytest
from hypothesis import Phase, settings
from sqlalchemy import Column, Integer, MetaData, Table, Text, select, update
from sqlalchemy.orm import Session

from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.database.statements import upsert
from service_chassis.messaging.envelope import Event, Outgoing
from service_chassis.messaging.subscriptions import Subscription, Subscriptions, on, on_batch
from service_chassis.testing.conformance.projection import History, check_projection
from service_chassis.testing.conformance.sample import CATALOGUE, Deposited, Poison, Renamed
from service_chassis.testing.plugin import any_database
from service_chassis.unit_of_work import UnitOfWork, Units

metadata = MetaData()
accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, server_default=""),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("balance", Integer, nullable=False, server_default="0"),
)
HISTORY: History = [
    Outgoing(Renamed("a", "first"), version=1),
    Outgoing(Deposited("a", 5)),
    Outgoing(Renamed("a", "second"), version=2),
    [Outgoing(Deposited("b", 7)), Outgoing(Deposited("a", 11))],
    Outgoing(Renamed("b", "other"), version=1),
    Outgoing(Renamed("a", "third"), version=3),
]


@pytest.fixture
def units(database: Database, clock: ManualClock) -> Units[UnitOfWork]:
    with database.writing() as session:
        metadata.create_all(session.connection())
    return Units(database, UnitOfWork, clock)


def known(session: Session, account: str) -> None:
    session.execute(upsert(session, accounts).values(id=account).on_conflict_do_nothing())


def rename_if_newer(event: Event, uow: UnitOfWork) -> None:
    known(uow.session, event.subject)
    older = (accounts.c.id == event.subject) & (accounts.c.version < event.version)
    uow.session.execute(update(accounts).where(older).values(name=event.data.name, version=event.version))


def rename_as_it_comes(event: Event, uow: UnitOfWork) -> None:
    known(uow.session, event.subject)
    chosen = accounts.c.id == event.subject
    uow.session.execute(update(accounts).where(chosen).values(name=event.data.name, version=event.version))


def add_up(events: list[Event], uow: UnitOfWork) -> None:
    for event in events:
        known(uow.session, event.subject)
        more = accounts.c.balance + event.data.amount
        uow.session.execute(update(accounts).where(accounts.c.id == event.subject).values(balance=more))


def add_up_only_what_is_known(event: Event, uow: UnitOfWork) -> None:
    more = accounts.c.balance + event.data.amount
    uow.session.execute(update(accounts).where(accounts.c.id == event.subject).values(balance=more))


def fail(_: Event, __: UnitOfWork) -> None:
    raise Poison


def read(uow: UnitOfWork) -> object:
    return uow.session.execute(select(accounts).order_by(accounts.c.id)).all()


def check(units: Units[UnitOfWork], *subscriptions: Subscription, examples: int = 30) -> None:
    check_projection(units, Subscriptions(subscriptions, CATALOGUE), HISTORY, read, examples=examples)


def test_a_projection_that_applies_state_if_newer_and_facts_once_holds(units: Units[UnitOfWork]) -> None:
    check(units, on(Renamed, rename_if_newer), on_batch(Deposited, add_up))

    with units.read() as uow:
        assert read(uow) == [("a", "third", 3, 16), ("b", "other", 1, 7)]


@any_database
class TestWrongProjections:
    @pytest.fixture(autouse=True)
    def _without_simplifying(self) -> Iterator[None]:
        """What a wrong projection is caught with is of no interest here, and simplifying it takes long."""
        usual = settings.default
        settings.register_profile("caught", usual, phases=[Phase.generate])
        settings.load_profile("caught")
        yield
        settings.load_profile("steward")

    def test_one_that_trusts_the_order_is_caught(self, units: Units[UnitOfWork]) -> None:
        with pytest.raises(AssertionError):
            check(units, on(Renamed, rename_as_it_comes), on_batch(Deposited, add_up))

    def test_one_that_needs_an_event_before_another_is_caught(self, units: Units[UnitOfWork]) -> None:
        with pytest.raises(AssertionError):
            check(units, on(Renamed, rename_if_newer), on(Deposited, add_up_only_what_is_known))

    def test_one_whose_handler_fails_is_caught(self, units: Units[UnitOfWork]) -> None:
        with pytest.raises(AssertionError, match="failed: Poison"):
            check(units, on(Renamed, fail), on_batch(Deposited, add_up))
