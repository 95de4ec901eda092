"""task-service over the database of a test, the users it hears of, and time that passes when the test says so."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

import event_contracts as contracts
import task_service
from service_chassis.breaker import Breaker
from service_chassis.clients import Answer, ConnectionLost, Request, ServiceClient
from service_chassis.clock import ManualClock
from service_chassis.database import Database
from service_chassis.ids import uuid7
from service_chassis.messaging.envelope import Outgoing
from service_chassis.testing.service import Bootstrap, Hear
from service_chassis.testing.web import Trial
from service_chassis.unit_of_work import Units
from task_service.bootstrap import bootstrap as make_service
from task_service.config import Settings
from task_service.http.alerts import alerts
from task_service.http.consequences import consequences
from task_service.http.tasks import tasks
from task_service.model.actor import Actor
from task_service.model.alert import Alert
from task_service.model.miss_limit import MissLimit
from task_service.model.rules import MissRules
from task_service.model.task import Priority, Task, TaskStatus
from task_service.parts import Parts
from task_service.persistence import tasks as persistence
from task_service.persistence.unit_of_work import UnitOfWork
from task_service.sweeper import Sweeper
from task_service.usecases import assigning, sweep
from task_service.usecases import tasks as usecases
from task_service.usecases.directory import Directory
from task_service.usecases.sweep import Done

HOUR = timedelta(hours=1)


@pytest.fixture
def bootstrap() -> Bootstrap:
    return make_service


@pytest.fixture(scope="session")
def migrations() -> Path:
    return Path(task_service.__file__).with_name("migrations")


@pytest.fixture
def rules() -> MissRules:
    """Five in seven days, and what else the demo profile says."""
    return Settings.read({}).rules


class People:
    """Stands for user-service: tells of users, and answers when it is asked about some."""

    def __init__(self, hear: Hear, clock: ManualClock) -> None:
        self._hear = hear
        self._clock = clock
        self._states: dict[UUID, dict[str, Any]] = {}
        self._names: dict[UUID, dict[str, Any]] = {}
        self.asked: list[list[UUID]] = []
        self.away = False

    def has(self, *, role: str = "user", name: str = "", username: str | None = None, told: bool = True) -> UUID:
        """Have a new user, of whom events tell at once or not yet."""
        user_id = uuid7()
        self._states[user_id] = {
            "user_id": user_id,
            "role": role,
            "status": "active",
            "reactivated_at": None,
            "version": 1,
        }
        self._names[user_id] = {"name": name, "username": username}
        if told:
            self._hear([self.registered(user_id)])
        return user_id

    def is_called(self, user_id: UUID, name: str, username: str | None, *, told: bool = True) -> None:
        self._names[user_id] = {"name": name, "username": username}
        self._change(user_id)
        if told:
            self._hear([self.updated(user_id)])

    def deactivates(self, user_id: UUID, *, told: bool = True) -> None:
        self._change(user_id, status="deactivated")
        if told:
            self._hear([self.event(contracts.UserDeactivated, user_id)])

    def reactivates(self, user_id: UUID, *, told: bool = True) -> None:
        self._change(user_id, status="active", reactivated_at=self._clock.now())
        if told:
            self._hear([self.event(contracts.UserReactivated, user_id)])

    def tells_of_return(self, user_id: UUID) -> None:
        """Let be told late that somebody was reactivated."""
        self._hear([self.event(contracts.UserReactivated, user_id)])

    def purges(self, user_id: UUID) -> None:
        self._change(user_id, status="purged")
        version = self._states[user_id]["version"]
        self._hear([Outgoing(contracts.UserPurged(user_id=user_id, purged_at=self._clock.now()), version=version)])

    def becomes(self, user_id: UUID, role: str) -> None:
        self._change(user_id, role=role)
        self._hear([self.updated(user_id)])

    def registered(self, user_id: UUID) -> Outgoing:
        return self.event(contracts.UserRegistered, user_id, email="", **self._names[user_id])

    def updated(self, user_id: UUID) -> Outgoing:
        return self.event(contracts.UserUpdated, user_id, email="", **self._names[user_id])

    def event(self, contract: Callable[..., Any], user_id: UUID, **more: Any) -> Outgoing:
        state = dict(self._states[user_id])
        version = state.pop("version")
        instant = self._clock.now()
        return Outgoing(
            contract(**state, **more, number=1, registered_at=instant, last_activity_at=instant), version=version
        )

    def __call__(self, request: Request) -> Answer:
        """Answer as `POST /internal/users/lookup` of user-service does."""
        if self.away:
            raise ConnectionLost
        assert (request.method, request.url) == ("POST", "http://user-service/internal/users/lookup")
        ids = msgspec.json.decode(request.body or b"", type=dict[str, list[UUID]])["ids"]
        self.asked.append(ids)
        known = [self._states[user_id] for user_id in ids if user_id in self._states]
        return Answer(
            200,
            msgspec.json.encode(
                [{**state, **self._names[state["user_id"]], "id": state["user_id"]} for state in known]
            ),
        )

    def _change(self, user_id: UUID, **changes: Any) -> None:
        state = self._states[user_id]
        self._states[user_id] = {**state, **changes, "version": state["version"] + 1}


@pytest.fixture
def people(hear: Hear, clock: ManualClock) -> People:
    return People(hear, clock)


class Desk:
    """Tasks as a manager sees them, and a sweep that comes when it is called."""

    def __init__(self, units: Units[UnitOfWork], rules: MissRules, clock: ManualClock) -> None:
        self.units = units
        self.rules = rules
        self.clock = clock
        self.manager = Actor(uuid7(), manages=True)

    def assigns(
        self, to: UUID, *, due: timedelta = HOUR, count: int = 1, by: Actor | None = None, title: str = "Count the bees"
    ) -> list[UUID]:
        """Give somebody tasks that are due in a while."""
        deadline = self.clock.now() + due
        with self.units.write() as uow:
            made = [
                assigning.assign(uow, title, "", Priority.NORMAL, deadline, to=[to], newer=[], by=by or self.manager)
                for _ in range(count)
            ]
        return [task.id for (task,) in made]

    def misses(self, user_id: UUID, count: int = 1, *, by: Actor | None = None) -> list[UUID]:
        """Let somebody get tasks, and time pass until they are missed; no sweep has seen them yet."""
        tasks = self.assigns(user_id, due=HOUR, count=count, by=by)
        self.clock.advance(HOUR + timedelta(seconds=1))
        return tasks

    def sweeps(self) -> Done:
        """Sweep from beginning to end."""
        sweeper, done, more = Sweeper(self.units, self.rules), Done(), True
        while more:
            step, more = sweeper.step()
            done += step
        return done

    def begins_to_sweep(self) -> Done:
        """Do the first piece of a sweep that gets no further."""
        with self.units.write() as uow:
            return self.first_piece(uow)

    def first_piece(self, uow: UnitOfWork) -> Done:
        return sweep.miss(uow, uow.tasks.due(uow.now)[: persistence.AT_ONCE[self.units.database.dialect]])

    def has_to_sweep(self) -> bool:
        """Say whether a sweep would find anything to do."""
        return Sweeper(self.units, self.rules).is_due()

    def sets(self, task_id: UUID, status: TaskStatus, *, by: Actor | None = None, version: int | None = None) -> None:
        with self.units.write() as uow:
            usecases.change_status(uow, self.rules, task_id, status, "", version=version, by=by or self.manager)

    def extends(self, task_id: UUID, due: timedelta) -> None:
        with self.units.write() as uow:
            usecases.extend(uow, self.rules, task_id, self.clock.now() + due, "", version=None, by=self.manager)

    def excuses(self, task_id: UUID) -> None:
        with self.units.write() as uow:
            usecases.excuse(uow, self.rules, task_id, "ill", version=None, by=self.manager)

    def deletes(self, task_id: UUID) -> None:
        with self.units.write() as uow:
            usecases.delete(uow, self.rules, task_id, by=self.manager)

    def task(self, task_id: UUID) -> Task:
        with self.units.read() as uow:
            return uow.session.get_one(Task, task_id)

    def alerts(self) -> set[tuple[UUID, str]]:
        """Return task and kind of each alert that stands; no task has two of a kind."""
        with self.units.read() as uow:
            rows = [(alert.task_id, alert.kind) for alert in uow.session.scalars(select(Alert))]
        assert len(rows) == len(set(rows))
        return set(rows)

    def limits(self) -> list[tuple[UUID, datetime, str]]:
        """Return user, instant and state of each consequence."""
        with self.units.read() as uow:
            found = uow.session.scalars(select(MissLimit).order_by(MissLimit.reached_at))
            return [(limit.user_id, limit.reached_at, limit.state) for limit in found]


@pytest.fixture
def desk(units: Units[UnitOfWork], rules: MissRules, clock: ManualClock) -> Desk:
    return Desk(units, rules, clock)


@pytest.fixture
def trial(database: Database, people: People, clock: ManualClock) -> Trial:
    """The web application with callers of any role, beside a user-service that is `people`."""
    owner = ServiceClient("http://user-service", breaker=Breaker("user-service"), transport=people)
    parts = Parts(Settings.read({}), Directory(owner))
    blueprints = (tasks, alerts, consequences)
    return Trial(database, clock, *blueprints, name="task-service", make=UnitOfWork, parts=parts)


class Office:
    """People at the door: each signs in with a role and asks for something."""

    def __init__(self, trial: Trial, people: People, clock: ManualClock) -> None:
        self._trial = trial
        self._clock = clock
        self.anna, self.bert = people.has(), people.has()

    def client(self, role: str, user_id: UUID | None = None) -> FlaskClient:
        return self._trial.client(role, subject=user_id or uuid7())

    def new_task(self, to: UUID | None = None, *, due: timedelta = HOUR, **more: Any) -> dict[str, Any]:
        """Let a manager give somebody a task; return it."""
        body = self.body(to or self.anna, due=due, **more)
        answer = self.client("manager").post("/api/v1/tasks", json=body)
        assert answer.status_code == 201, answer.get_json()
        return dict(answer.get_json()["data"])

    def body(self, to: UUID, *, due: timedelta = HOUR, **more: Any) -> dict[str, Any]:
        deadline = (self._clock.now() + due).isoformat()
        return {"title": "Count the bees", "assignee_id": str(to), "deadline": deadline, **more}


@pytest.fixture
def office(trial: Trial, people: People, clock: ManualClock) -> Office:
    return Office(trial, people, clock)
