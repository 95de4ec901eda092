"""The broker as a port: RabbitMQ and the SQLite broker stand behind it and obey one conformance suite."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from service_chassis.errors import Unavailable
from service_chassis.messaging.topology import Topology

PREFETCH = 750
"""Messages the broker sends ahead: enough to fill the next transaction while one commits, and few enough that as many
full batches fit into memory."""


class BrokerUnavailable(Unavailable):
    """The message broker cannot be reached right now."""

    code = "broker_unavailable"


class Outcome(Enum):
    """What became of a publication."""

    CONFIRMED = auto()
    """Every queue it is routed to has it safely."""
    UNROUTABLE = auto()
    """No queue is bound for it; it is still ours."""
    REFUSED = auto()
    """The broker said no to this message; others may pass."""
    UNKNOWN = auto()
    """No answer in time; it may or may not be there, so it must be published again."""


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to the broker."""

    message_id: str
    exchange: str
    routing_key: str
    content_type: str
    body: bytes
    events: int = 1
    correlation_id: str = ""
    source: str = ""
    timestamp: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What comes from the broker; `tag` belongs to the subscription that delivered it."""

    tag: int
    message_id: str
    exchange: str
    routing_key: str
    content_type: str
    body: bytes
    events: int = 1
    correlation_id: str = ""
    """As the producer gave it; see `correlation.accepted`."""
    redelivered: bool = False
    headers: dict[str, Any] = field(default_factory=dict)


class Subscription(Protocol):
    """A hold on a queue. What was taken and not acknowledged comes back when the subscription ends."""

    def take(self, limit: int, timeout: float) -> list[Delivery]:
        """Return the messages that are there, with at most about `limit` events.

        Waits up to `timeout` seconds for the first and never for more.
        Raises BrokerUnavailable; the subscription is then of no more use.
        """

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Let go of everything taken up to the last of `deliveries`. Raises BrokerUnavailable."""

    def close(self) -> None:
        """Stop taking, let acknowledgements on their way arrive, and end."""


class Broker(Protocol):
    def declare(self, topology: Topology) -> None:
        """Make the topology exist; harmless when it does. Raises BrokerUnavailable."""

    def publish(self, messages: Sequence[Message], timeout: float = 10) -> list[Outcome]:
        """Publish all, wait up to `timeout` seconds for the answers, and return one outcome per message, in order.

        Raises BrokerUnavailable when nothing was sent.
        """

    def subscribe(self, queue: str, *, prefetch: int = PREFETCH) -> Subscription:
        """Start consuming a queue. Raises BrokerUnavailable."""

    def depth(self, queue: str) -> int:
        """Return how many messages wait in a queue, by a round trip. Raises BrokerUnavailable."""

    def close(self) -> None:
        """End all connections."""
