"""What must exist on the broker, as values; one function of each adapter declares it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar

T = TypeVar("T")

DELIVERY_LIMIT = 20
"""Deliveries after which the broker itself sets a message aside: the guard against a handler that kills its process."""


@dataclass(frozen=True, slots=True)
class Exchange:
    name: str
    kind: Literal["topic", "direct"] = "topic"


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue. Its arguments never change: another argument needs another name."""

    name: str
    kind: Literal["quorum", "classic"] = "quorum"
    arguments: tuple[tuple[str, str | int], ...] = ()

    def declared(self) -> Mapping[str, str | int]:
        """Return the arguments the broker is given.

        Others who declare the same classic queue do not name its type, and the broker wants to hear the same from all.
        """
        return dict(self.arguments) if self.kind == "classic" else {"x-queue-type": self.kind, **dict(self.arguments)}


@dataclass(frozen=True, slots=True)
class Binding:
    exchange: str
    queue: str
    key: str


@dataclass(frozen=True, slots=True)
class Topology:
    exchanges: tuple[Exchange, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()

    def __add__(self, other: "Topology") -> "Topology":
        return Topology(
            exchanges=_union(self.exchanges, other.exchanges),
            queues=_union(self.queues, other.queues),
            bindings=_union(self.bindings, other.bindings),
        )

    def queues_for(self, exchange: str, routing_key: str) -> tuple[str, ...]:
        """Return the queues a message with this key reaches, each once."""
        matching = (b.queue for b in self.bindings if b.exchange == exchange and key_matches(b.key, routing_key))
        return tuple(dict.fromkeys(matching))


def publishing(exchange: str) -> Topology:
    """Return what a service needs to publish: its exchange."""
    return Topology(exchanges=(Exchange(exchange),))


def consuming(queue: str, routes: Iterable[tuple[str, str]]) -> Topology:
    """Return a service's one quorum queue, bound to (exchange, key) pairs, and the queue of its broker-side dead."""
    pairs = tuple(dict.fromkeys(routes))
    dead = dead_queue(queue)
    limits = (
        ("x-delivery-limit", DELIVERY_LIMIT),
        ("x-dead-letter-exchange", ""),
        ("x-dead-letter-routing-key", dead),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    )
    return Topology(
        exchanges=tuple(Exchange(name) for name in dict.fromkeys(exchange for exchange, _ in pairs)),
        queues=(Queue(queue, arguments=limits), Queue(dead)),
        bindings=tuple(Binding(exchange, queue, key) for exchange, key in pairs),
    )


def dead_queue(queue: str) -> str:
    """Return the name of the queue where the broker puts what it gave up on."""
    return f"{queue}.dead"


@lru_cache(maxsize=4096)
def key_matches(pattern: str, key: str) -> bool:
    """Say whether a topic pattern matches: `*` is one word, `#` any number of words, also none."""
    return _words_match(pattern.split("."), key.split(".") if key else [])


def _words_match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return _words_match(rest, words) or bool(words and _words_match(pattern, words[1:]))
    return bool(words) and first in {"*", words[0]} and _words_match(rest, words[1:])


def _union(ours: tuple[T, ...], theirs: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*ours, *theirs)))
