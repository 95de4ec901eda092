"""Whatever people do and whenever sweeps come, in the end it is as if somebody had swept all the time."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import delete

from event_contracts import TaskMissed, TaskMissLimitReached
from service_chassis.messaging.tables import outbox
from task_service.model.alert import Alert
from task_service.model.known_user import KnownUser
from task_service.model.miss_limit import MissLimit, Uncounted
from task_service.model.task import Task, TaskStatus
from task_service.persistence import tasks

LIMIT = 3
WINDOW = timedelta(days=7)
SOON = timedelta(days=1)
STEPS = st.integers(1, 40).map(lambda hours: timedelta(hours=hours))
OPEN = {"pending", "in_progress"}


class Expected:
    """A task as a clerk with all the time in the world would have it."""

    def __init__(self, user: UUID, deadline: datetime) -> None:
        self.user = user
        self.deadline = deadline
        self.status = "pending"
        self.excused = False


class Clerk:
    """The model: each instant of missed tasks is dealt with when it comes, one after the other."""

    def __init__(self) -> None:
        self.tasks: dict[UUID, Expected] = {}
        self.reactivated: dict[UUID, datetime] = {}
        self.told: set[tuple[UUID, datetime]] = set()
        self.missed: list[tuple[UUID, datetime]] = []

    def watches_until(self, now: datetime) -> None:
        due = sorted(
            (task.deadline, task_id)
            for task_id, task in self.tasks.items()
            if task.status in OPEN and task.deadline < now
        )
        for instant, task_id in due:
            self.tasks[task_id].status = "missed"
            self.missed.append((task_id, instant))
            self._counts(self.tasks[task_id].user, instant)

    def alerts(self, now: datetime) -> set[tuple[UUID, str]]:
        missed = {(key, "missed") for key, task in self.tasks.items() if task.status == "missed"}
        soon = {
            (key, "due_soon") for key, task in self.tasks.items() if task.status in OPEN and task.deadline < now + SOON
        }
        return missed | soon

    def _counts(self, user: UUID, instant: datetime) -> None:
        since = max(instant - WINDOW, self.reactivated.get(user, instant - WINDOW))
        counting = [
            task
            for task in self.tasks.values()
            if task.user == user and task.status == "missed" and not task.excused and since < task.deadline <= instant
        ]
        told = any(who == user and since < at for who, at in self.told)
        if len(counting) >= LIMIT and not told:
            self.told.add((user, instant))


class Life(RuleBasedStateMachine):
    """Managers and assignees at work, a clock that jumps, and a sweeper that is often away."""

    desk: Any
    people: Any
    published: Any

    def __init__(self) -> None:
        super().__init__()
        for table in (Task, Alert, MissLimit, Uncounted, KnownUser):
            with self.desk.units.write() as uow:
                uow.session.execute(delete(table))
        with self.desk.units.write() as uow:
            uow.session.execute(delete(outbox))
        self.users = [self.people.has() for _ in range(2)]
        self.clerk = Clerk()

    @property
    def now(self) -> datetime:
        instant: datetime = self.desk.clock.now()
        return instant

    @rule(who=st.integers(0, 1), due=STEPS, count=st.integers(1, 2))
    def assign(self, who: int, due: timedelta, count: int) -> None:
        for task_id in self.desk.assigns(self.users[who], due=due, count=count):
            self.clerk.tasks[task_id] = Expected(self.users[who], self.now + due)

    @rule(step=STEPS)
    def time_passes(self, step: timedelta) -> None:
        self.desk.clock.advance(step)
        self.clerk.watches_until(self.now)

    @rule()
    def sweep_comes(self) -> None:
        self.desk.sweeps()

    @rule()
    def sweep_dies_after_its_first_step(self) -> None:
        self.desk.begins_to_sweep()

    @precondition(lambda self: self.with_status(*OPEN))
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(self.with_status(*OPEN)))
        self.desk.sets(task_id, TaskStatus.COMPLETED)
        self.clerk.tasks[task_id].status = "completed"

    @precondition(lambda self: self.with_status("missed"))
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(self.with_status("missed")))
        self.desk.sets(task_id, TaskStatus.COMPLETED)
        self.clerk.tasks[task_id].status = "completed"

    @precondition(lambda self: self.with_status("missed", *OPEN))
    @rule(data=st.data(), due=STEPS)
    def extend(self, data: st.DataObject, due: timedelta) -> None:
        task_id = data.draw(st.sampled_from(self.with_status("missed", *OPEN)))
        self.desk.extends(task_id, due)
        task = self.clerk.tasks[task_id]
        task.status, task.deadline, task.excused = "pending", self.now + due, False

    @precondition(lambda self: self.excusable())
    @rule(data=st.data())
    def excuse(self, data: st.DataObject) -> None:
        task_id = data.draw(st.sampled_from(self.excusable()))
        self.desk.excuses(task_id)
        self.clerk.tasks[task_id].excused = True

    @rule(who=st.integers(0, 1))
    def sweep_and_reactivate(self, who: int) -> None:
        """Nobody is reactivated who was not switched off, which a sweep comes before."""
        self.desk.sweeps()
        self.people.deactivates(self.users[who])
        self.people.reactivates(self.users[who])
        self.clerk.reactivated[self.users[who]] = self.now

    @invariant()
    def nothing_is_told_that_the_clerk_did_not_tell(self) -> None:
        assert self.told() <= self.clerk.told

    def teardown(self) -> None:
        self.desk.sweeps()
        missed = [(event.data.task_id, event.data.missed_at) for event in self.published(TaskMissed)]
        assert sorted(missed) == sorted(self.clerk.missed)
        assert self.told() == self.clerk.told
        assert self.desk.alerts() == self.clerk.alerts(self.now)

    def told(self) -> set[tuple[UUID, datetime]]:
        events = [(event.data.user_id, event.data.reached_at) for event in self.published(TaskMissLimitReached)]
        assert len(events) == len(set(events))
        return set(events)

    def with_status(self, *statuses: str) -> list[UUID]:
        return [key for key, task in self.clerk.tasks.items() if task.status in statuses]

    def excusable(self) -> list[UUID]:
        return [key for key in self.with_status("missed", *OPEN) if not self.clerk.tasks[key].excused]


def test_after_any_schedule_of_sweeps_it_is_as_if_somebody_had_swept_all_the_time(
    desk: Any, people: Any, published: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AT_ONCE", dict.fromkeys(tasks.AT_ONCE, 2))
    desk.rules = replace(desk.rules, limit=LIMIT, window=WINDOW, due_soon=SOON, sweep_cap=None, manager_cap=None)
    lives = type("Lives", (Life,), {"desk": desk, "people": people, "published": staticmethod(published)})

    run_state_machine_as_test(
        lives, settings=hypothesis.settings(max_examples=25, stateful_step_count=30, deadline=None)
    )
