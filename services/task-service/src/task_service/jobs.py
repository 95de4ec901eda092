"""What the worker does by the clock."""

from dataclasses import asdict

from service_chassis.logs import Log
from service_chassis.scheduler import Job
from service_chassis.unit_of_work import Units
from task_service.config import Settings
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.sweeper import Sweeper
from task_service.usecases.sweep import Done


class Sweeping:
    """Sweeps step by step, and says in the log what each pass has done."""

    def __init__(self, units: Units[UnitOfWork], settings: Settings, log: Log) -> None:
        self._sweeper = Sweeper(units, settings.rules)
        self._interval = settings.sweep_interval
        self._log = log
        self._done = Done()
        self._under_way = False

    def job(self) -> Job:
        return Job("auto_update_tasks", self._interval, self._advance)

    def _advance(self) -> bool:
        if not self._under_way and not self._sweeper.is_due():
            return False
        step, self._under_way = self._sweeper.step()
        self._done += step
        if not self._under_way:
            self._log.info("tasks_swept", **asdict(self._done))
            self._done = Done()
        return self._under_way
