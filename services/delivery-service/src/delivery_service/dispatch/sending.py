"""The event loop of a dispatcher: it sends what its lanes hold, in fair rotation, and does nothing else."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from delivery_service.dispatch.lane import Lane, Manner
from delivery_service.egress.sender import DETAIL, Sender
from delivery_service.model.attempt import ErrorClass, Request, Result
from delivery_service.model.delivery import judge
from delivery_service.model.destination import Reason
from delivery_service.model.headers import MASK
from delivery_service.model.target import Message
from delivery_service.persistence.outcomes import Claimed, Outcome
from service_chassis.breaker import Attempt, BreakerOpen, Record, State
from service_chassis.clock import Clock
from service_chassis.ids import uuid7

LOOK_UPS = 64
"""Threads that look up names: a name server that does not answer holds one for as long as it pleases."""
SHOWN = ("content-type", "user-agent", "webhook-attempt", "webhook-id", "webhook-timestamp")
"""Headers the log shows; all others may hold secrets."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the recorder is to write, in the order it is told."""

    outcome: Outcome | None = None
    health: tuple[UUID, Record, datetime | None] | None = None
    disable: tuple[UUID, Reason] | None = None
    given_back: tuple[UUID, ...] = field(default=())


class Sending:
    """Everything here runs in the loop; `report` and `hungry` must return at once."""

    def __init__(
        self,
        sender: Sender,
        manner: Manner,
        clock: Clock,
        *,
        report: Callable[[Report], None],
        backlog: Callable[[], int],
        hungry: Callable[[], None],
    ) -> None:
        self.lanes: dict[UUID, Lane] = {}
        self._sender = sender
        self._manner = manner
        self._clock = clock
        self._report = report
        self._backlog = backlog
        self._hungry = hungry
        self._in_flight = 0
        self._turns: deque[UUID] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self.leased_until = 0.0
        """Monotonic; nothing is sent after it."""

    async def run(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Send until told to stop."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(LOOK_UPS, "look-up"))
        async with self._sender:
            ready()
            await stop.wait()

    def feed(self, lane: Lane, claimed: Iterable[Claimed]) -> None:
        """Take over what was claimed for a lane."""
        self.lanes.setdefault(lane.id, lane).buffer.extend(claimed)
        self._turn(lane)
        self.pump()

    def drop(self, ids: Iterable[UUID]) -> None:
        """Let go of lanes whose leases are lost: what is under way is cancelled, and is the next owner's to send."""
        for lane in [self.lanes.pop(lane_id) for lane_id in ids if lane_id in self.lanes]:
            lane.buffer.clear()
            for task in lane.tasks:
                task.cancel()

    def pump(self) -> None:
        """Start what may start, one of each lane in turn."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        soonest: float | None = None
        later: list[UUID] = []
        while self._turns and self._has_room():
            lane = self.lanes.get(self._turns.popleft())
            if lane is None or not lane.buffer:
                continue
            wait = self._start_one(lane)
            if wait is None:
                self._turns.append(lane.id)
            elif wait > 0:
                soonest = wait if soonest is None else min(soonest, wait)
                later.append(lane.id)
        self._turns.extend(later)
        if soonest is not None:
            self._timer = asyncio.get_running_loop().call_later(soonest, self.pump)

    def _has_room(self) -> bool:
        """Say whether another request may begin: not while the recorder is behind, nor after the lease."""
        most = self._manner.in_flight_in_all
        leased = time.monotonic() < self.leased_until
        return leased and not self._stopping and self._in_flight < most and self._backlog() < 4 * most

    def _start_one(self, lane: Lane) -> float | None:
        """Start one request and return None, or return how long to wait; zero where an end will come first."""
        if not lane.gate.free:
            return 0.0
        now = time.monotonic()
        if (wait := lane.gate.wait(now)) > 0:
            return wait
        try:
            attempt = lane.breaker.allow()
        except BreakerOpen:
            self.give_back(lane)
            return 0.0
        lane.gate.began(now)
        self._in_flight += 1
        task = asyncio.get_running_loop().create_task(self._send(lane, lane.buffer.popleft(), attempt))
        lane.tasks.add(task)
        task.add_done_callback(lane.tasks.discard)
        return None

    async def _send(self, lane: Lane, claimed: Claimed, attempt: Attempt) -> None:
        succeeded = False
        try:
            began = self._clock.now()
            request, result = await self._attempted(lane, claimed, began)
            succeeded = result.succeeded
            self._settle(lane, claimed, attempt, began=began, request=request, result=result)
        finally:
            attempt.abandoned()
            lane.gate.ended(succeeded=succeeded)
            self._in_flight -= 1
            self._turn(lane)
            self.pump()
            if lane.hungry:
                self._hungry()

    async def _attempted(self, lane: Lane, claimed: Claimed, at: datetime) -> tuple[Request, Result]:
        target = lane.target
        request = Request(target.method, target.url, {}, None, target.timeout)
        try:
            request = target.request(Message(claimed.message_id, claimed.payload, claimed.attempts + 1), at=at)
            return request, await self._sender.send(request)
        except Exception as error:  # noqa: BLE001  # Whatever it is, the delivery must not stay marked as being sent.
            return request, Result(None, ErrorClass.NOT_SENT, detail=str(error)[:DETAIL])

    def _settle(
        self, lane: Lane, claimed: Claimed, attempt: Attempt, *, began: datetime, request: Request, result: Result
    ) -> None:
        now, before = self._clock.now(), (lane.record.state, lane.record.failures, lane.failing_since)
        verdict = judge(result, claimed.tries + 1, lane.schedule, lane.failing_since, at=now)
        if verdict.counts_against:
            attempt.failed()
        else:
            attempt.succeeded()
        lane.heed(verdict, now, succeeded=result.succeeded)
        outcome = Outcome(
            claimed.id,
            lane.id,
            lane.fence,
            verdict.state,
            verdict.due_at,
            now,
            _row(claimed, began, request, result),
        )
        record = lane.record
        changed = before != (record.state, record.failures, lane.failing_since)
        kept = Record(record.state, record.failures, record.opened_at)
        self._report(
            Report(
                outcome,
                (lane.id, kept, lane.failing_since) if changed else None,
                (lane.id, verdict.disable) if verdict.disable else None,
            )
        )
        if verdict.disable or lane.breaker.state is State.OPEN or (lane.ordered and not result.succeeded):
            self.give_back(lane)

    def give_back(self, lane: Lane) -> None:
        """Let what was claimed wait in the database, where it shows as held and goes by the order of the rows."""
        if lane.buffer:
            self._report(Report(given_back=tuple(claimed.id for claimed in lane.buffer)))
            lane.buffer.clear()

    def _turn(self, lane: Lane) -> None:
        if lane.buffer and lane.id not in self._turns:
            self._turns.append(lane.id)

    async def finish(self, within: float) -> None:
        """Begin nothing more, give back what has not begun, and let what is under way end."""
        self._stopping = True
        for lane in self.lanes.values():
            self.give_back(lane)
        tasks = [task for lane in self.lanes.values() for task in lane.tasks]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=within)
            for task in late:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*late, return_exceptions=True)


def _row(claimed: Claimed, began: datetime, request: Request, result: Result) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "delivery_id": claimed.id,
        "number": claimed.attempts + 1,
        "began_at": began,
        "url": request.url,
        "request_headers": {name: value if name in SHOWN else MASK for name, value in request.headers.items()},
        "status": result.status,
        "error": result.error,
        "detail": result.detail,
        "answer": result.answer,
        "queue_seconds": max(0.0, (began - claimed.due_at).total_seconds()),
        "connect_seconds": result.timings.connect,
        "first_byte_seconds": result.timings.first_byte,
        "total_seconds": result.timings.total,
    }
