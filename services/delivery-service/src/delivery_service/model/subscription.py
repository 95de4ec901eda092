"""Which events a destination gets: types by pattern, and a filter over the payload."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from delivery_service.model.errors import SubscriptionInvalid
from delivery_service.model.filters import check, matches

EVERYTHING = "*"
MOST_PATTERNS = 50
PATTERN = re.compile(r"\*|[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?")
NEUTRAL = ("delivery.", "destination.", "notification.")
"""Events about deliveries would produce deliveries of themselves for ever."""


@dataclass(frozen=True, slots=True)
class Subscription:
    event_types: Sequence[str] = (EVERYTHING,)
    """`task.missed`, `task.*` for all below it, or `*`."""
    payload_filter: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise SubscriptionInvalid for what can match nothing as it is written."""
        faults = [pattern for pattern in self.event_types if not PATTERN.fullmatch(pattern)]
        if faults or not 1 <= len(self.event_types) <= MOST_PATTERNS:
            text = f"1 to {MOST_PATTERNS} event types like task.missed, task.* or *."
            raise SubscriptionInvalid(fields={"event_types": [text]})
        check(self.payload_filter)

    def wants(self, event_type: str, payload: Any) -> bool:
        """Say whether an event of this type with this decoded payload is delivered."""
        return self.wants_type(event_type) and matches(self.payload_filter, payload)

    def wants_type(self, event_type: str) -> bool:
        return any(_covers(pattern, event_type) for pattern in self.event_types)


def is_deliverable(event_type: str) -> bool:
    """Say whether events of this type may become deliveries at all."""
    return not event_type.startswith(NEUTRAL)


def _covers(pattern: str, event_type: str) -> bool:
    if pattern == EVERYTHING:
        return True
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    # Types carry a version, which a pattern may leave out: `task.missed` covers `task.missed.v1`.
    return event_type == pattern or re.sub(r"\.v[0-9]+$", "", event_type) == pattern
