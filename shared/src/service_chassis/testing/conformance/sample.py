"""The events, handlers and effects that the suites of the backbone work with."""

from typing import ClassVar
from uuid import UUID

import msgspec
from sqlalchemy import Column, Integer, MetaData, Table, Text, Uuid, insert, select

from service_chassis.messaging.envelope import Event, Outgoing
from service_chassis.unit_of_work import UnitOfWork

SERVICE = "sample-service"
QUEUE = "sample-service.events"
EXCHANGE = "sample.events"

metadata = MetaData()

# Nothing here is unique: an effect that happens twice is there twice.
effects = Table(
    "effects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("account", Text, nullable=False),
)


class _Sample(msgspec.Struct, frozen=True):
    source: ClassVar[str] = "/sample-service"
    exchange: ClassVar[str] = EXCHANGE

    account: str

    @property
    def subject(self) -> str:
        return self.account


class Deposited(_Sample, frozen=True):
    type: ClassVar[str] = "sample.deposited.v1"

    amount: int = 1


class Opened(_Sample, frozen=True):
    type: ClassVar[str] = "sample.opened.v1"


class Renamed(_Sample, frozen=True):
    type: ClassVar[str] = "sample.renamed.v1"

    name: str = ""


class Stray(_Sample, frozen=True):
    """An event whose exchange nobody declares."""

    type: ClassVar[str] = "sample.stray.v1"
    exchange: ClassVar[str] = "nobody.events"


CATALOGUE = (Deposited, Opened, Renamed, Stray)


class Poison(Exception):
    """What handlers raise that cannot cope with an event."""


class Crash(BaseException):
    """The process ends here, as far as the code under test can tell."""


def apply(event: Event, uow: UnitOfWork) -> None:
    """Have an effect."""
    uow.session.execute(insert(effects).values(event_id=event.id, account=event.subject))


def apply_all(events: list[Event], uow: UnitOfWork) -> None:
    """Have the effects of many events at once."""
    uow.session.execute(insert(effects), [{"event_id": event.id, "account": event.subject} for event in events])


def always_failing(event: Event, uow: UnitOfWork) -> None:
    """Have an effect, and fail then."""
    apply(event, uow)
    raise Poison


def apply_unless_poison(event: Event, uow: UnitOfWork) -> None:
    """Have an effect, and then fail at what is addressed to `poison`."""
    apply(event, uow)
    if event.subject == "poison":
        raise Poison("This cannot be handled.")


def apply_all_unless_poison(events: list[Event], uow: UnitOfWork) -> None:
    apply_all(events, uow)
    if any(event.subject == "poison" for event in events):
        raise Poison("These cannot be handled.")


def apply_and_answer(event: Event, uow: UnitOfWork) -> None:
    """Have an effect and publish an event because of it; then fail at what is addressed to `poison`."""
    uow.publish(Outgoing(Opened(event.subject)))
    apply_unless_poison(event, uow)


def accounts(uow: UnitOfWork) -> list[str]:
    """Return whose effects there are, in order, each as often as it happened."""
    return sorted(uow.session.scalars(select(effects.c.account)))


def ids(uow: UnitOfWork) -> list[UUID]:
    return sorted(uow.session.scalars(select(effects.c.event_id)))
