"""What owner and holder of states say to each other, and how a holder asks."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from service_chassis.messaging.envelope import Received

FROM_THE_START = ""
"""The cursor before all ids."""


class Range(msgspec.Struct, frozen=True):
    """The ids after one and up to another; without an end, all that follow."""

    after: str = FROM_THE_START
    to: str | None = None


class Part(msgspec.Struct, frozen=True):
    """How many rows there are in a range, and the sum of their digests."""

    range: Range
    count: int
    digest: int


class Page(msgspec.Struct, frozen=True):
    """States in the order of their ids, as the contracts their owner publishes."""

    events: list[Received]
    next: str | None
    """The cursor of the page that follows, if there may be one."""
    total: int | None = None
    """How many states there are; told with the first page."""


class Digests(msgspec.Struct, frozen=True):
    parts: list[Part]
    epoch: int
    """The owner's: whatever it says from now on has a version of this epoch or a later one."""


class DigestsAsked(msgspec.Struct, frozen=True):
    ranges: list[Range]
    parts: int
    """Into how many parts, of as many rows each, a range is to be cut."""


class Owner(Protocol):
    """The owner of states, as those who hold projections of them see it. Raises UpstreamUnavailable."""

    def page(self, name: str, asked: Range) -> Page:
        """Return the first states of a range."""

    def digests(self, name: str, ranges: Sequence[Range], parts: int) -> Digests:
        """Return what each range comes to, cut into parts."""
