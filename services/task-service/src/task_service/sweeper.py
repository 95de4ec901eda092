"""Whole passes over the tasks, for the worker and for cron, piece by piece."""

import contextvars
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from service_chassis.unit_of_work import Units
from task_service.model.rules import MissRules
from task_service.persistence import tasks
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.usecases import sweep
from task_service.usecases.sweep import Done

HANDS = {"postgresql": 2, "sqlite": 1}
"""Pieces moved at a time: while one waits for the database, another is being prepared. SQLite has one writer."""
PIECES = 8
"""So many are moved between two looks at whether to stop."""


class Sweeper:
    """Sweeps step by step; two at once share the work, and one that dies leaves it to the next."""

    def __init__(self, units: Units[UnitOfWork], rules: MissRules) -> None:
        self._units = units
        self._rules = rules
        self._due: list[UUID] = []
        self._looks = True

    def is_due(self) -> bool:
        """Say whether a pass would find anything to do."""
        with self._units.read() as uow:
            return sweep.is_due(uow, self._rules)

    def step(self) -> tuple[Done, bool]:
        """Take the next step; return what it did and whether another one of this pass is to follow."""
        if self._looks and not self._due:
            with self._units.read() as uow:
                self._due = uow.tasks.due(uow.now)
            self._looks = bool(self._due)
        if self._due:
            return self._missed(), True
        with self._units.write() as uow:
            done, more = sweep.follow_up(uow, self._rules)
        self._looks = not more
        return done, more

    def _missed(self) -> Done:
        dialect = self._units.database.dialect
        size = tasks.AT_ONCE[dialect]
        now, self._due = self._due[: PIECES * size], self._due[PIECES * size :]
        pieces = [now[start : start + size] for start in range(0, len(now), size)]
        with ThreadPoolExecutor(HANDS[dialect]) as pool:
            at_work = [pool.submit(contextvars.copy_context().run, self._miss, piece) for piece in pieces]
        return sum((one.result() for one in at_work), Done())

    def _miss(self, piece: Sequence[UUID]) -> Done:
        with self._units.write() as uow:
            return sweep.miss(uow, piece)
