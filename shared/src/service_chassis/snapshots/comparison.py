"""Comparing a projection with its owner: by digests of ranges first, then by the rows of those that differ.

What differs may still be on its way as an event, so it is looked at a second time before it counts.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from service_chassis.messaging.envelope import Received, version_of
from service_chassis.messaging.versions import BITS
from service_chassis.scheduler import Job
from service_chassis.snapshots import progress
from service_chassis.snapshots.exchanged import Part, Range
from service_chassis.snapshots.projection import Projected, Projection

EVERY = timedelta(hours=1)
SETTLE = 2.0
"""Seconds after which an event that was on its way has arrived, unless the broker or this service is far behind."""
PARTS = 64
LEAF = 256
"""Rows in a range whose states are looked at one by one."""
AT_ONCE = 64
"""Ranges asked about in one request."""
IDS_LOGGED = 20
MISSING, STALE, GONE, OWNER_IS_OLDER = "missing", "stale", "gone", "owner_is_older"
"""Why a row differs; the last is not mended, because the owner has to say that it was restored."""


@dataclass(slots=True)
class Found:
    """What a comparison found, and mended if it was to."""

    rows: int = 0
    ids: dict[str, list[str]] = field(default_factory=lambda: {MISSING: [], STALE: [], GONE: [], OWNER_IS_OLDER: []})

    @property
    def counts(self) -> dict[str, int]:
        return {cause: len(ids) for cause, ids in self.ids.items() if ids}


@dataclass(frozen=True, slots=True)
class _Suspects:
    """What differs in a range, as its owner tells it; `gone` is held here only."""

    range: Range
    told: dict[str, Received]
    gone: frozenset[str]
    ripe_at: float


class Comparison:
    def __init__(
        self, projected: Projected, stop: threading.Event, *, settle: float = SETTLE, leaf: int = LEAF
    ) -> None:
        self._projected = projected
        self._stop = stop
        self._settle = settle
        self._leaf = leaf

    def job(self) -> Job:
        return Job("projections.compare", EVERY, self.run)

    def run(self) -> None:
        """Compare and mend every projection that has caught up."""
        for projection in self._projected.projections:
            with self._projected.units.read() as uow:
                caught_up = progress.of(uow.session, projection.name).finished
            if caught_up:
                self.compare(projection)

    def compare(self, projection: Projection, *, repair: bool = True) -> Found:
        """Compare one projection with its owner and mend what differs."""
        projected, found = self._projected, Found()
        with projected.units.read() as uow:
            found.rows = projection.rows.count(uow.session, Range())
        epoch, ranges = self._differing(projection)
        waiting: deque[_Suspects] = deque()
        for asked in _together(ranges):
            for suspects in self._suspects(projection, asked):
                waiting.append(suspects)
                while waiting and waiting[0].ripe_at <= time.monotonic():
                    self._judge(projection, waiting.popleft(), epoch, found, repair=repair)
        for suspects in waiting:
            self._stop.wait(max(0.0, suspects.ripe_at - time.monotonic()))
            self._judge(projection, suspects, epoch, found, repair=repair)
        self._tell(projection, found)
        return found

    def _differing(self, projection: Projection) -> tuple[int, list[Range]]:
        """Return the owner's epoch and the ranges that differ, in order, cut as small as is worth while."""
        epoch, parts, asked = 0, 1, [Range()]
        leaves: list[Range] = []
        while asked:
            unlike: list[Part] = []
            for start in range(0, len(asked), AT_ONCE):
                told = self._projected.owner.digests(projection.name, asked[start : start + AT_ONCE], parts)
                epoch = told.epoch
                unlike += self._unlike(projection, told.parts)
            leaves += [part.range for part in unlike if part.count <= self._leaf]
            deeper = [part for part in unlike if part.count > self._leaf]
            asked = [part.range for part in deeper]
            parts = min(PARTS, 1 + max((part.count for part in deeper), default=0) // self._leaf)
        return epoch, sorted(leaves, key=lambda leaf: projection.rows.position(leaf.after))

    def _unlike(self, projection: Projection, told: Sequence[Part]) -> list[Part]:
        with self._projected.units.read() as uow:
            return [part for part in told if projection.rows.part(uow.session, part.range) != part]

    def _suspects(self, projection: Projection, asked: Range) -> Iterator[_Suspects]:
        """Go through what the owner has in a range, and yield what is not the same here."""
        after: str | None = asked.after
        while after is not None:
            page = self._projected.owner.page(projection.name, Range(after, asked.to))
            covered = Range(after, asked.to if page.next is None else page.next)
            told = {envelope.subject: envelope for envelope in page.events}
            held = self._held(projection, covered)
            differing = {id_: one for id_, one in told.items() if held.get(id_, -1) != _version(one)}
            gone = held.keys() - told.keys()
            if differing or gone:
                yield _Suspects(covered, differing, frozenset(gone), time.monotonic() + self._settle)
            after = page.next

    def _judge(self, projection: Projection, suspects: _Suspects, epoch: int, found: Found, *, repair: bool) -> None:
        """Look at suspects a second time, and mend those that are no nearer to what their owner says."""
        held = self._held(projection, suspects.range)
        behind = {id_: one for id_, one in suspects.told.items() if held.get(id_, -1) < _version(one)}
        for id_ in behind:
            found.ids[STALE if id_ in held else MISSING].append(id_)
        ahead = [id_ for id_, one in suspects.told.items() if held.get(id_, -1) > _version(one)]
        gone, older = self._asked_again(projection, suspects, held, ahead)
        found.ids[GONE] += gone
        found.ids[OWNER_IS_OLDER] += older
        if repair and (behind or gone):
            with self._projected.units.write() as uow:
                self._projected.learn(uow, behind.values())
                lost = [projection.rows.parsed(id_) for id_ in gone]
                if lost:
                    projection.lose(uow, lost, epoch << BITS)

    def _asked_again(
        self, projection: Projection, suspects: _Suspects, held: dict[str, int], ahead: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """Return what is still here only, and of what the owner still has an older version than was known before."""
        candidates = [id_ for id_ in suspects.gone if id_ in held]
        if not candidates and not ahead:
            return [], []
        told: dict[str, int] = {}
        after: str | None = suspects.range.after
        while after is not None:
            page = self._projected.owner.page(projection.name, Range(after, suspects.range.to))
            told |= {envelope.subject: _version(envelope) for envelope in page.events}
            after = page.next
        return (
            sorted(id_ for id_ in candidates if id_ not in told),
            sorted(id_ for id_ in ahead if id_ in told and told[id_] < held[id_]),
        )

    def _held(self, projection: Projection, asked: Range) -> dict[str, int]:
        with self._projected.units.read() as uow:
            return projection.rows.versions(uow.session, asked)

    def _tell(self, projection: Projection, found: Found) -> None:
        now = self._projected.units.clock.now()
        self._projected.metrics.compared(projection.name, found.rows, found.counts, now)
        self._projected.log.info(
            "projection_compared", projection=projection.name, rows=found.rows, differences=found.counts
        )
        for cause, ids in found.ids.items():
            if ids:
                self._projected.log.warning(
                    "projection_differed", projection=projection.name, cause=cause, count=len(ids), ids=ids[:IDS_LOGGED]
                )


def _together(ranges: Sequence[Range]) -> Iterator[Range]:
    """Join ranges that follow one another, so that many that differ cost no more than a snapshot."""
    pending: Range | None = None
    for following in ranges:
        if pending is not None and pending.to == following.after:
            pending = Range(pending.after, following.to)
            continue
        if pending is not None:
            yield pending
        pending = following
    if pending is not None:
        yield pending


def _version(envelope: Received) -> int:
    return version_of(envelope) or 0
