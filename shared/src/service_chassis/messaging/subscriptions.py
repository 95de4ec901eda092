"""Which event type is handled by what, as data, and the words handlers answer with.

A handler is a plain function of the event (or, with `on_batch`, the events) and the unit of work. It succeeds by
returning, and otherwise raises: `Retry` to be asked again later, `Drop` to let the event go, anything else is a
failed attempt.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from service_chassis.messaging.envelope import Event


class Retry(Exception):
    """Not now: ask again after a while; this does not count as a failed attempt."""

    def __init__(self, after: timedelta) -> None:
        self.after = after
        super().__init__(f"Asked to be called again in {after}.")


class Drop(Exception):
    """The event is of no use here, for the reason given."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Subscription:
    contract: type[Any]
    handler: Callable[[Any, Any], None]
    batch: bool

    def call(self, events: list[Event], uow: Any) -> None:
        """Hand all events to a batch handler, or one after the other to a plain one."""
        if self.batch:
            self.handler(events, uow)
            return
        for event in events:
            self.handler(event, uow)


def on(contract: type[Any], handler: Callable[[Event, Any], None]) -> Subscription:
    """Handle each event of a type by itself."""
    return Subscription(contract, handler, batch=False)


def on_batch(contract: type[Any], handler: Callable[[list[Event], Any], None]) -> Subscription:
    """Handle events of a type as many at a time as have arrived: one statement for all instead of one for each."""
    return Subscription(contract, handler, batch=True)


class Subscriptions:
    """The subscriptions of a service by event type, and all contracts there are."""

    def __init__(self, subscriptions: Iterable[Subscription], catalogue: Iterable[type[Any]]) -> None:
        self._by_type: Mapping[str, Subscription] = {s.contract.type: s for s in subscriptions}
        self._known: Mapping[str, type[Any]] = {contract.type: contract for contract in catalogue}

    def __getitem__(self, event_type: str) -> Subscription:
        return self._by_type[event_type]

    def __contains__(self, event_type: str) -> bool:
        return event_type in self._by_type

    def contract(self, event_type: str) -> type[Any] | None:
        """Return the contract of a type, or None when nobody has published it."""
        return self._known.get(event_type)

    def routes(self) -> list[tuple[str, str]]:
        """Return the (exchange, routing key) pairs the service's queue is bound to."""
        return [(s.contract.exchange, s.contract.type) for s in self._by_type.values()]
