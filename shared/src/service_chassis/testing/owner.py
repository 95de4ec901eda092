"""An owner of states in memory, which answers what a real one answers over HTTP."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from service_chassis.clock import SystemClock
from service_chassis.database.digests import digest_of
from service_chassis.messaging.envelope import Outgoing, Received, enveloped
from service_chassis.messaging.versions import joined
from service_chassis.snapshots.exchanged import Digests, Page, Part, Range

_clock = SystemClock()


def on_the_wire(event: Outgoing) -> Received:
    """Return an event as those read it who are told."""
    return msgspec.json.decode(msgspec.json.encode(enveloped(event, _clock.now())), type=Received)


@dataclass
class MemoryOwner:
    """Knows aggregates by id: what each was last changed to, or None where it was deleted, and how often.

    `tell` makes the event of an aggregate's state, or of its deletion.
    """

    tell: Callable[[UUID, int | None, int], Outgoing]
    page_size: int = 3
    epoch: int = 0
    states: dict[UUID, tuple[int | None, int]] = field(default_factory=dict)

    def change(self, id_: UUID, to: int | None) -> Outgoing | None:
        """Change an aggregate, or delete it, and return the event that tells; None when there is nothing to delete."""
        value, version = self.states.get(id_, (None, joined(self.epoch, 0)))
        if value is None and to is None:
            return None
        if value is None and id_ in self.states:
            return None
        self.states[id_] = (to, version + 1)
        return self.tell(id_, to, version + 1)

    def restored(self, states: Mapping[UUID, tuple[int | None, int]]) -> None:
        """Go back to an earlier instant, and begin an epoch."""
        self.epoch += 1
        counts = {id_: (value, version & 0xFFFFFFFF) for id_, (value, version) in states.items()}
        self.states = {id_: (value, joined(self.epoch, count)) for id_, (value, count) in counts.items()}

    def page(self, name: str, asked: Range) -> Page:  # noqa: ARG002  # It owns states of one kind.
        ids = self._within(asked)
        shown = ids[: self.page_size]
        events = [on_the_wire(self.tell(id_, *self.states[id_])) for id_ in shown]
        return Page(events, str(shown[-1]) if len(shown) == self.page_size else None, len(self.states))

    def digests(self, name: str, ranges: Sequence[Range], parts: int) -> Digests:  # noqa: ARG002  # likewise
        return Digests([self._part(piece) for asked in ranges for piece in self._cut(asked, parts)], self.epoch)

    def _within(self, asked: Range) -> list[UUID]:
        ids = sorted(self.states)
        start = bisect_right(ids, UUID(asked.after)) if asked.after else 0
        return ids[start : len(ids) if asked.to is None else bisect_right(ids, UUID(asked.to))]

    def _part(self, asked: Range) -> Part:
        ids = self._within(asked)
        return Part(asked, len(ids), sum(digest_of(id_, self.states[id_][1]) for id_ in ids))

    def _cut(self, asked: Range, parts: int) -> list[Range]:
        ids = self._within(asked)
        ends = [str(id_) for id_ in ids[:: -(-len(ids) // parts)]] if ids and parts > 1 else []
        return [Range(after, to) for after, to in zip([asked.after, *ends], [*ends, asked.to], strict=True)]
