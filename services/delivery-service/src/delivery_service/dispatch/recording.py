"""The thread that writes down what came of attempts: everything that is there already in one transaction."""

import queue
import threading
from collections.abc import Callable, Sequence

from delivery_service.dispatch.sending import Report
from delivery_service.model.destination import Destination
from delivery_service.persistence.unit_of_work import UnitOfWork
from service_chassis.errors import Unavailable
from service_chassis.logs import Log
from service_chassis.unit_of_work import Units

AT_ONCE = 500
LOOK_EVERY = 0.5
AGAIN_AFTER = 0.5


class Recorder:
    """Nothing it was told is lost while the process lives: where the database is away, it tries again."""

    def __init__(self, units: Units[UnitOfWork], log: Log, stop: threading.Event, recorded: Callable[[], None]) -> None:
        self._units = units
        self._log = log
        self._stop = stop
        self._recorded = recorded
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._unwritten: list[Report] = []

    def tell(self, report: Report) -> None:
        self._reports.put(report)

    def backlog(self) -> int:
        return self._reports.qsize() + len(self._unwritten)

    def run(self, tick: Callable[[], None]) -> None:
        """Write until told to stop and nothing is left."""
        while not (self._stop.is_set() and not self.backlog()):
            tick()
            self._collect()
            if self._unwritten:
                self._write()

    def _collect(self) -> None:
        try:
            if not self._unwritten:
                self._unwritten.append(self._reports.get(timeout=LOOK_EVERY))
            while len(self._unwritten) < AT_ONCE:
                self._unwritten.append(self._reports.get_nowait())
        except queue.Empty:
            pass

    def _write(self) -> None:
        try:
            self._write_together(self._unwritten)
        except Unavailable as error:
            self._log.warning("outcomes_wait", count=len(self._unwritten), error=error.message)
            self._stop.wait(AGAIN_AFTER)
            return
        except Exception:  # noqa: BLE001  # One report nobody can write must not keep the others from being written.
            self._log.exception("outcomes_redone_one_by_one", count=len(self._unwritten))
            self._write_one_by_one()
        self._unwritten = []
        self._recorded()

    def _write_one_by_one(self) -> None:
        while self._unwritten:
            try:
                self._write_together(self._unwritten[:1])
            except Unavailable:
                return
            except Exception:  # noqa: BLE001  # As above; the delivery is sent again when its lease is taken anew.
                self._log.exception("outcome_lost")
            self._unwritten = self._unwritten[1:]

    def _write_together(self, reports: Sequence[Report]) -> None:
        with self._units.write() as uow:
            write(uow, reports)


def write(uow: UnitOfWork, reports: Sequence[Report]) -> None:
    """Write reports in the transaction of a unit of work."""
    outcomes = [report.outcome for report in reports if report.outcome is not None]
    if outcomes:
        uow.outcomes.record(outcomes)
    uow.leases.give_back([one for report in reports for one in report.given_back])
    for destination_id, breaker, failing_since in {
        report.health[0]: report.health for report in reports if report.health is not None
    }.values():
        uow.outcomes.note_health(destination_id, breaker, failing_since)
    for destination_id, reason in dict(report.disable for report in reports if report.disable).items():
        destination = uow.session.get(Destination, destination_id, with_for_update=True)
        if destination is not None and destination.is_enabled:
            destination.disable(reason, at=uow.now)
