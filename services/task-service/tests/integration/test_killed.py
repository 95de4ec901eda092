"""A sweep that is killed at any moment loses nothing and does nothing twice."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from event_contracts import TaskMissed, TaskMissLimitReached
from service_chassis.testing.service import Published
from service_chassis.testing.waiting import wait_until
from service_chassis.unit_of_work import Units
from task_service.model.alert import Alert
from task_service.model.task import Priority, Task, TaskStatus
from task_service.persistence.unit_of_work import UnitOfWork

pytestmark = pytest.mark.serial

USERS = 12
TASKS_EACH = 200
IN_SMALL_STEPS = """
from task_service.__main__ import main
from task_service.persistence import tasks

tasks.AT_ONCE = dict.fromkeys(tasks.AT_ONCE, 100)
main(["auto_update_tasks"])
"""
SWEEP = [sys.executable, "-c", IN_SMALL_STEPS]
NOBODY_IS_HELD = {"MISSED_TASK_MANAGER_CAP": "0"}


@pytest.fixture
def users(people: Any, units: Units[UnitOfWork]) -> list[UUID]:
    """People with many tasks whose deadlines, by the real clock, have just passed."""
    users = [people.has() for _ in range(USERS)]
    now = datetime.now(UTC)
    with units.write() as uow:
        for number in range(TASKS_EACH):
            deadline = now - timedelta(minutes=number + 1)
            for user in users:
                given = {"to": user, "by": users[0], "at": now - timedelta(days=30)}
                uow.session.add(Task.assign("Count the bees", "", Priority.NORMAL, deadline, **given))
    return users


def test_a_sweep_killed_again_and_again_comes_to_the_same(
    users: list[UUID], units: Units[UnitOfWork], published: Published, env: dict[str, str]
) -> None:
    for _ in range(3):
        kill_under_way(units, env)
        assert 0 < missed(units) < USERS * TASKS_EACH
    done = subprocess.run(SWEEP, env=env | NOBODY_IS_HELD, check=True, timeout=60)

    assert done.returncode == 0
    told = Counter(event.data.task_id for event in published(TaskMissed))
    assert (len(told), set(told.values())) == (USERS * TASKS_EACH, {1})
    assert sorted(event.data.user_id for event in published(TaskMissLimitReached)) == sorted(users)
    with units.read() as uow:
        assert uow.session.scalar(select(func.count()).select_from(Alert)) == USERS * TASKS_EACH


def kill_under_way(units: Units[UnitOfWork], env: dict[str, str]) -> None:
    """Start a sweep, and kill it as soon as it has done something."""
    before = missed(units)
    sweep = subprocess.Popen(SWEEP, env=env | NOBODY_IS_HELD)
    wait_until(lambda: missed(units) > before, within=30)
    assert sweep.poll() is None
    sweep.kill()
    sweep.wait(10)


def missed(units: Units[UnitOfWork]) -> int:
    with units.read() as uow:
        return uow.session.scalar(select(func.count()).where(Task.status == TaskStatus.MISSED)) or 0
