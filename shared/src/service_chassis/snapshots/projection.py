"""A projection of states that another service owns, and how what their owner hands out gets into it."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from service_chassis.logs import Log
from service_chassis.messaging.envelope import Event, Received, received
from service_chassis.messaging.subscriptions import Subscriptions
from service_chassis.metrics import Metrics
from service_chassis.snapshots.exchanged import Owner
from service_chassis.snapshots.rows import Rows
from service_chassis.unit_of_work import Units


@dataclass(frozen=True, slots=True)
class Projection:
    """The name of the states at their owner, where they are kept here, and how to let go of some.

    `lose(uow, ids, version)` leaves tombstones of what its owner does not know, which `rows` do not count.
    """

    name: str
    rows: Rows
    lose: Callable[[Any, Collection[Any], int], None]


@dataclass(frozen=True, slots=True)
class Projected:
    """What catching up and comparing work with."""

    projections: Sequence[Projection]
    owner: Owner
    units: Units[Any]
    subscriptions: Subscriptions
    log: Log
    metrics: Metrics

    @property
    def names(self) -> list[str]:
        return [projection.name for projection in self.projections]

    def learn(self, uow: Any, envelopes: Iterable[Received]) -> None:
        """Take over states by the handlers of their events, so that it does not matter which of both comes first."""
        by_type: dict[str, list[Event]] = defaultdict(list)
        for envelope in envelopes:
            contract = self.subscriptions.contract(envelope.type)
            if contract is not None and envelope.type in self.subscriptions:
                by_type[envelope.type].append(received(envelope, contract))
        for type_, events in by_type.items():
            self.subscriptions[type_].call(events, uow)
