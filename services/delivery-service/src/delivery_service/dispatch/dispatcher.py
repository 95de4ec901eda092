"""A dispatcher: one thread leases and claims, one event loop sends, one thread records.

Stop order: claim nothing more, let what is under way end, record it, let go of the leases.
"""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from delivery_service.dispatch.lane import Lane, Manner
from delivery_service.dispatch.recording import Recorder
from delivery_service.dispatch.sending import Sending
from delivery_service.egress.sender import Sender
from delivery_service.model.destination import Destination
from delivery_service.persistence.outcomes import Claimed
from delivery_service.persistence.unit_of_work import UnitOfWork
from service_chassis.errors import Unavailable
from service_chassis.ids import uuid7
from service_chassis.logs import Log
from service_chassis.loop import Loop
from service_chassis.sealing import Seal
from service_chassis.unit_of_work import Units

LEASE = timedelta(seconds=10)
MARGIN = 1.0
"""Seconds before the end of a lease from which on nothing is sent."""
RENEW_EVERY = 3.0
LOOK_EVERY = 1.0
"""Seconds after which a dispatcher looks for work of which no wake-up told it."""
DESTINATIONS = 1_000
"""Owned by one dispatcher at most."""
TAKEN_AT_ONCE = 50
"""Leases taken in one step, so that of several dispatchers each gets some."""
IDLE_FOR = 10.0
"""Seconds without work after which a destination is let go, for whoever is free when there is some."""
FINISH_WITHIN = 16.0
"""Seconds requests under way have to end; the longest takes fifteen."""


class Dispatcher:
    """Any number of dispatchers share the destinations of one database."""

    def __init__(
        self, units: Units[UnitOfWork], sender: Sender, manner: Manner, *, seal: Seal, log: Log, stop: threading.Event
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid7().hex[-6:]}"
        self._units = units
        self._manner = manner
        self._seal = seal
        self._stop = stop
        self._recorded = threading.Event()
        self._woken = threading.Event()
        self._ready = threading.Event()
        self._renewed_at = -RENEW_EVERY
        self._owned: dict[UUID, Lane] = {}
        self.recorder = Recorder(units, log, self._recorded, self.wake)
        self._sending = Sending(
            sender,
            manner,
            units.clock,
            report=self.recorder.tell,
            backlog=self.recorder.backlog,
            hungry=self.wake,
        )
        self._loop = asyncio.new_event_loop()
        self._sent = asyncio.Event()
        self._loop_thread = threading.Thread(target=self._run_loop, name="sending", daemon=True)
        self._claims = Loop("claims", self._claim, log, stop)
        self._records = Loop("records", self.recorder.run, log, self._recorded)

    def start(self) -> None:
        self._loop_thread.start()
        self._ready.wait()
        self._claims.start()
        self._records.start()

    def wake(self) -> None:
        """Say that there may be something to send."""
        self._woken.set()

    def stop(self, within: float = FINISH_WITHIN) -> bool:
        """End in order, unless that is done already; say whether everything ended in time."""
        if self._loop.is_closed():
            return True
        deadline = time.monotonic() + within
        self._stop.set()
        self.wake()
        ended = self._claims.join(deadline)
        asyncio.run_coroutine_threadsafe(self._sending.finish(within), self._loop).result(within + 5)
        self._recorded.set()
        ended &= self._records.join(deadline + 5)
        self._loop.call_soon_threadsafe(self._sent.set)
        self._loop_thread.join(5)
        # Where the database is away, the leases end by themselves.
        with suppress(Unavailable), self._units.write() as uow:
            uow.leases.release(self._fences(), self.name, uow.now)
        return ended

    def _run_loop(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._sending.run(self._ready.set, self._sent))

    def _claim(self, tick: Callable[[], None]) -> None:
        while not self._stop.is_set():
            tick()
            self._woken.wait(LOOK_EVERY)
            self._woken.clear()
            self._step()

    def _step(self) -> None:
        """Look for work where that is due, renew the leases where that is, and claim what the lanes have room for."""
        began = time.monotonic()
        with self._units.read() as uow:
            with_work = uow.leases.with_work(self.name, uow.now, most=DESTINATIONS)
        free = [one for one in with_work if one not in self._owned]
        free = free[: min(TAKEN_AT_ONCE, DESTINATIONS - len(self._owned))]
        self._note_work(with_work, began)
        hungry = {one: demand for one in with_work if one in self._owned and (demand := self._owned[one].demand)}
        if not (free or hungry or began - self._renewed_at >= RENEW_EVERY):
            return
        with self._units.write() as uow:
            lost = self._renew(uow) | self._let_go(uow, began)
            claimed = self._claimed(uow, free, {one: demand for one, demand in hungry.items() if one not in lost})
        self._renewed_at = began
        self._loop.call_soon_threadsafe(self._hand_over, began, lost, claimed)

    def _renew(self, uow: UnitOfWork) -> set[UUID]:
        """Prolong the leases and return those that are lost."""
        fences = self._fences()
        lost = set(fences) - uow.leases.renew(fences, self.name, uow.now + LEASE) if fences else set()
        for destination_id in lost:
            del self._owned[destination_id]
        return lost

    def _note_work(self, with_work: list[UUID], now: float) -> None:
        for one in with_work:
            if one in self._owned:
                self._owned[one].worked_at = now

    def _let_go(self, uow: UnitOfWork, now: float) -> set[UUID]:
        """Release the leases of destinations that have had nothing to do for a while."""
        rested = [lane for lane in self._owned.values() if lane.idle and now - lane.worked_at > IDLE_FOR]
        fences = {lane.id: self._owned.pop(lane.id).fence for lane in rested}
        if fences:
            uow.leases.release(fences, self.name, uow.now)
        return set(fences)

    def _claimed(
        self, uow: UnitOfWork, free: list[UUID], hungry: Mapping[UUID, int]
    ) -> list[tuple[Lane, Destination, list[Claimed]]]:
        fences = uow.leases.take(free, self.name, uow.now, uow.now + LEASE)
        claimed = []
        for destination in uow.outcomes.destinations([*fences, *self._owned]):
            if destination.id in fences:
                lane = Lane(destination, fences[destination.id], self._manner, self._seal, self._units.clock)
                self._owned[destination.id] = lane
                most = lane.demand
            else:
                lane = self._owned[destination.id]
                most = hungry.get(destination.id, 0)
            found = uow.outcomes.claim(destination, uow.now, most=most) if most and destination.is_enabled else []
            claimed.append((lane, destination, found))
        return claimed

    def _hand_over(self, began: float, lost: set[UUID], claimed: list[tuple[Lane, Destination, list[Claimed]]]) -> None:
        self._sending.leased_until = began + LEASE.total_seconds() - MARGIN
        self._sending.drop(lost)
        for lane, destination, found in claimed:
            lane.renew(destination)
            self._sending.feed(lane, found)
            if not destination.is_enabled:
                self._sending.give_back(lane)

    def _fences(self) -> dict[UUID, int]:
        return {lane.id: lane.fence for lane in self._owned.values()}
