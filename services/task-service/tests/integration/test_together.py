"""Managers, assignees and sweepers at work on the same tasks at the same time."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from event_contracts import TaskMissed, TaskMissLimitReached
from service_chassis.database import TransactionConflict
from service_chassis.errors import Conflict, NotFound
from service_chassis.testing.plugin import only_postgresql
from service_chassis.testing.service import Published
from task_service.model.actor import Actor
from task_service.model.task import TaskStatus
from task_service.usecases import assigning

MINUTE = timedelta(minutes=1)
COMMANDS = 60
REFUSED = (Conflict, NotFound, TransactionConflict)
"""What a task does not allow any more, or somebody else has by now, or was in another transaction's way."""


@only_postgresql
def test_nobody_is_in_anybodys_way_and_nothing_happens_twice(desk: Any, people: Any, published: Published) -> None:
    users = [people.has() for _ in range(4)]
    tasks = [task for user in users for _ in range(15) for task in desk.assigns(user, due=10 * MINUTE)]

    with ThreadPoolExecutor(6) as pool:
        at_work = [pool.submit(works, desk, tasks, users, seed) for seed in range(4)]
        sweeping = [pool.submit(sweeps, desk) for _ in range(2)]
        for one in (*at_work, *sweeping):
            one.result(60)
    desk.clock.advance(20 * MINUTE)
    desk.sweeps()

    missed = Counter((event.data.task_id, event.data.missed_at) for event in published(TaskMissed))
    told = Counter(event.data.user_id for event in published(TaskMissLimitReached))
    assert set(missed.values()) == {1}
    assert set(told.values()) <= {1}
    stand = {task for task, kind in desk.alerts() if kind == "missed"}
    assert stand == {task for task in tasks if desk.task(task).status == "missed"}


def works(desk: Any, tasks: list[UUID], users: list[UUID], seed: int) -> None:
    """Do this and that; being refused is all that may happen."""
    choice = random.Random(seed)
    for _ in range(COMMANDS):
        task = choice.choice(tasks)
        with suppress(*REFUSED):
            what = choice.randrange(4)
            if what == 0:
                desk.extends(task, choice.randint(1, 10) * MINUTE)
            elif what == 1:
                desk.excuses(task)
            elif what == 2:
                hands_on(desk, task, choice.choice(users))
            else:
                owner = Actor(desk.task(task).assignee_id, manages=False)
                desk.sets(task, choice.choice([TaskStatus.IN_PROGRESS, TaskStatus.COMPLETED]), by=owner)


def hands_on(desk: Any, task: UUID, user: UUID) -> None:
    with desk.units.write() as uow:
        assigning.reassign(uow, desk.rules, task, user, "", newer=[], version=None, by=desk.manager)


def sweeps(desk: Any) -> None:
    """Let time pass, and look what that has led to."""
    for _ in range(15):
        desk.clock.advance(MINUTE / 2)
        with suppress(TransactionConflict):
            desk.sweeps()
