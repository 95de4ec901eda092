"""A projection equals its owner after a comparison, whatever was lost, doubled or restored before it."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, delete, insert, select

from service_chassis.messaging.envelope import Outgoing
from service_chassis.snapshots import progress
from service_chassis.snapshots.catching_up import CatchingUp
from service_chassis.snapshots.comparison import Comparison, Found
from service_chassis.snapshots.exchanged import Range
from service_chassis.snapshots.projection import Projected, Projection
from service_chassis.testing.owner import MemoryOwner, on_the_wire

IDS = [UUID(int=7 << 76 | number) for number in range(8)]
HAPPENINGS = ("changed", "deleted", "arrived", "lost", "owner_restored", "holder_restored", "queue_deleted")

Tell = Callable[[UUID, int | None, int], Outgoing]
Read = Callable[[Any], dict[UUID, int | None]]
"""Returns what a projection holds: whether an aggregate was last changed to 0 or 1, None where it was deleted."""


@dataclass
class History:
    """An owner, a projection of its states, and what is on the way between them."""

    projected: Projected
    owner: MemoryOwner
    read: Read
    on_the_way: list[Outgoing] = field(default_factory=list)
    owner_before: dict[UUID, Any] = field(default_factory=dict)
    holder_before: list[dict[str, Any]] = field(default_factory=list)

    @property
    def projection(self) -> Projection:
        (projection,) = self.projected.projections
        return projection

    def begin(self) -> None:
        self._put([])
        with self.projected.units.write() as uow:
            progress.begin_again(uow.session)

    def happens(self, what: str, which: int, number: int) -> None:
        getattr(self, what)(which, number)

    def changed(self, which: int, number: int) -> None:
        self._tell(self.owner.change(IDS[which % len(IDS)], number % 2))

    def deleted(self, which: int, _: int) -> None:
        self._tell(self.owner.change(IDS[which % len(IDS)], None))

    def arrived(self, which: int, number: int) -> None:
        """Let some events arrive, in another order; an even number leaves them on the way, to arrive once more."""
        some = self.on_the_way[which % (len(self.on_the_way) + 1) :][::-1]
        with self.projected.units.write() as uow:
            self.projected.learn(uow, [on_the_wire(event) for event in some])
        if number % 2:
            self.on_the_way = [event for event in self.on_the_way if event not in some]

    def lost(self, which: int, _: int) -> None:
        del self.on_the_way[which % (len(self.on_the_way) + 1) :]

    def owner_restored(self, _: int, number: int) -> None:
        """Keep a dump of the owner, or go back to the one before."""
        if number % 2:
            self.owner.restored(self.owner_before)
        else:
            self.owner_before = dict(self.owner.states)

    def holder_restored(self, _: int, number: int) -> None:
        if number % 2:
            self._put(self.holder_before)
        else:
            with self.projected.units.read() as uow:
                self.holder_before = [dict(row) for row in uow.session.execute(select(self._table)).mappings()]

    def queue_deleted(self, _: int, __: int) -> None:
        self.on_the_way = []
        with self.projected.units.write() as uow:
            progress.begin_again(uow.session)
        self.catch_up()

    def catch_up(self) -> None:
        catching_up = CatchingUp(self.projected)
        while catching_up.step():
            pass

    def compared(self) -> Found:
        return Comparison(self.projected, threading.Event(), settle=0, leaf=2).compare(self.projection)

    def check_equal(self) -> None:
        with self.projected.units.read() as uow:
            assert self.read(uow) == {id_: value for id_, (value, _) in self.owner.states.items()}
            versions = self.projection.rows.versions(uow.session, Range())
        assert versions == {str(id_): version for id_, (_, version) in self.owner.states.items()}

    def _tell(self, event: Outgoing | None) -> None:
        self.on_the_way += [] if event is None else [event]

    @property
    def _table(self) -> Table:
        table: Table = self.projection.rows.id.class_.__table__
        return table

    def _put(self, rows: Sequence[dict[str, Any]]) -> None:
        with self.projected.units.write() as uow:
            uow.session.execute(delete(self._table))
            if rows:
                uow.session.execute(insert(self._table), list(rows))


def check_equality(projected: Projected, tell: Tell, read: Read, *, examples: int = 60) -> None:
    """Fail unless every history ends, one comparison after it, in what the owner says; and stays there."""

    @settings(max_examples=examples)
    @given(st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 20), st.integers(0, 5)), max_size=25))
    def every_history_ends_equal(happenings: list[tuple[str, int, int]]) -> None:
        history = History(replace(projected, owner=(owner := MemoryOwner(tell))), owner, read)
        history.begin()
        for happening in happenings:
            history.happens(*happening)
        history.compared()
        history.check_equal()
        assert history.compared().counts == {}

    every_history_ends_equal()
