"""A broker that is left alone for a while after it has failed repeatedly."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from service_chassis.breaker import Breaker, BreakerOpen, BreakerRules
from service_chassis.messaging.broker import PREFETCH, Broker, BrokerUnavailable, Message, Outcome, Subscription
from service_chassis.messaging.topology import Topology

PAUSE = timedelta(seconds=5)
"""Longest time the broker is left alone: nobody waits for it, but every event does."""


class GuardedBroker:
    """Counts the failures of everything but a subscription's own, whose loop opens another one here."""

    def __init__(self, broker: Broker, rules: BreakerRules, *, now: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self.breaker = Breaker("broker", rules.at_most(PAUSE), counts=_is_outage, now=now)

    def declare(self, topology: Topology) -> None:
        with self._attempt():
            self._broker.declare(topology)

    def publish(self, messages: Sequence[Message], timeout: float = 10) -> list[Outcome]:
        with self._attempt():
            return self._broker.publish(messages, timeout)

    def subscribe(self, queue: str, *, prefetch: int = PREFETCH) -> Subscription:
        with self._attempt():
            return self._broker.subscribe(queue, prefetch=prefetch)

    def depth(self, queue: str) -> int:
        with self._attempt():
            return self._broker.depth(queue)

    def close(self) -> None:
        self._broker.close()

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        try:
            with self.breaker.attempt():
                yield
        except BreakerOpen as error:
            raise BrokerUnavailable(error.message, retry_after=error.retry_after) from error


def _is_outage(error: BaseException) -> bool:
    return isinstance(error, BrokerUnavailable)
