"""The command that cron calls."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from service_chassis.logs import make_log
from service_chassis.scheduler import Job
from service_chassis.testing.plugin import only_sqlite
from task_service.__main__ import main
from task_service.config import Settings
from task_service.jobs import Sweeping
from task_service.model.task import Task


@pytest.fixture
def five_missed(desk: Any, people: Any, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Five tasks of one user whose deadlines, by the real clock, are long over."""
    desk.assigns(people.has(), count=5)
    with desk.units.write() as uow:
        for task in uow.session.query(Task):
            task.deadline -= timedelta(days=3650)
    for name, value in env.items():
        monkeypatch.setenv(name, value)


@only_sqlite
@pytest.mark.usefixtures("five_missed")
def test_one_pass_is_done_and_told_in_a_sentence() -> None:
    """S3-19."""
    done = CliRunner().invoke(main, ["auto_update_tasks"])

    assert (done.exit_code, done.output) == (
        0,
        "5 tasks missed, 0 due soon, 1 users over the limit, 0 held for approval.\n",
    )


@only_sqlite
@pytest.mark.usefixtures("five_missed")
def test_what_was_done_can_be_read_by_a_program() -> None:
    done = CliRunner().invoke(main, ["auto_update_tasks", "--json"])
    again = CliRunner().invoke(main, ["auto_update_tasks", "--json"])

    assert json.loads(done.output) == {"missed": 5, "due_soon": 0, "limits_reached": 1, "limits_held": 0}
    assert set(json.loads(again.output).values()) == {0}


def sweeping(units: Any, **env: str) -> Job:
    return Sweeping(units, Settings.read(env), make_log("task-service")).job()


def test_the_job_is_called_as_the_command_and_runs_each_minute_in_the_demo(units: Any) -> None:
    """S3-17, C-10."""
    demo = sweeping(units)
    real = sweeping(
        units,
        STEWARD_PROFILE="production",
        DATABASE_URL="postgresql://server/tasks",
        BROKER_URL="amqp://task:secret@server/",
        TASK_SERVICE_SECRET="a long secret of this installation only",
        TASK_SERVICE_CLIENT_SECRET="a long secret that user-service knows",
    )

    assert (demo.name, demo.interval, real.interval) == (
        "auto_update_tasks",
        timedelta(minutes=1),
        timedelta(hours=1),
    )


def test_the_scheduled_job_does_what_the_command_does_and_says_so_once(desk: Any, people: Any) -> None:
    """S3-13: without anybody's asking, and with nothing to do it writes nothing."""
    missed = desk.misses(people.has(), 5)
    said = io.StringIO()
    job = Sweeping(desk.units, Settings.read({}), make_log("task-service", stream=said)).job()

    while job.run():
        pass
    assert not job.run()

    assert {desk.task(task).status for task in missed} == {"missed"}
    (line,) = [json.loads(line) for line in said.getvalue().splitlines()]
    assert line["event"] == "tasks_swept"
    assert (line["missed"], line["due_soon"], line["limits_reached"], line["limits_held"]) == (5, 0, 1, 0)
