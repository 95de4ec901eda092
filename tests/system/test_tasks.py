"""Tasks that are missed, and what becomes of people who miss too many."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from service_chassis.testing.waiting import wait_until
from tests.running.door import Door
from tests.running.people import PASSWORD, person
from tests.running.steward import TASK, TASKS, USER, Steward

USERS = "/api/v1/users"
SOON = timedelta(seconds=5)
WITHIN = 30.0


def test_five_missed_tasks_switch_a_user_off_until_a_manager_thinks_otherwise(system: Steward) -> None:
    """S3-05, S3-08, S3-13, S3-15, S3-19, C-20: the whole chain, under one correlation id."""
    boss, anna = somebody(system, "boss", "manager"), somebody(system, "anna", "user")
    anna_id = own_id(anna)
    deadline = datetime.now(UTC) + SOON
    tasks = [assigned(boss, anna_id, deadline) for _ in range(5)]
    assert anna.post(f"{TASKS}/{tasks[0]}/status", {"status": "in_progress"}).status == 200
    wait_until(lambda: datetime.now(UTC) > deadline)

    assert sweep(system)["missed"] >= 5

    wait_until(lambda: anna.get(TASKS).error == "session_ended", WITHIN, every=0.1)
    login = {"email": email(system, anna_id), "password": PASSWORD}
    assert system.door.post("/api/v1/auth/login", login).error == "invalid_credentials"
    alerted = {alert["task_id"] for alert in boss.get(f"{TASKS}/alerts", kind="missed", assignee_id=anna_id).data}
    assert alerted == set(tasks)
    chain = one_chain(system, anna_id)
    logged = [line for line in system.log() if line.get("type") == "task.miss_limit_reached.v1"]
    assert chain in {line["correlation_id"] for line in logged if line["event"] == "event_handled"}

    assert boss.post(f"{USERS}/{anna_id}/reactivate", {"reason": "It was my fault."}).status == 200
    back = system.sign_in(login["email"])
    deadline = datetime.now(UTC) + SOON
    task = wait_until(lambda: try_assigning(boss, anna_id, deadline))
    wait_until(lambda: datetime.now(UTC) > deadline)
    assert sweep(system)["missed"] >= 1

    assert back.get(f"{TASKS}/{task}").data["status"] == "missed"
    assert len(events_about(system, TASK, "task.miss_limit_reached.v1", anna_id)) == 1
    assert system.admin.get(f"{USERS}/{anna_id}").data["status"] == "active"


def test_whoever_has_just_registered_is_given_a_task_and_nobody_else_sees_it(system: Steward) -> None:
    """S3-09, and a projection that has not heard of a user yet refuses nobody."""
    boss, anna, bert = (somebody(system, name, role) for name, role in PEOPLE)

    task = assigned(boss, own_id(anna), datetime.now(UTC) + timedelta(days=1))

    assert anna.get(f"{TASKS}/{task}").data["status"] == "pending"
    assert (bert.get(f"{TASKS}/{task}").status, bert.get(f"{TASKS}/{task}").error) == (404, "task_not_found")
    assert (anna.post(TASKS, {}).status, anna.send("DELETE", f"{TASKS}/{task}").status) == (403, 403)
    assert anna.post(f"{TASKS}/{task}/status", {"status": "completed"}).data["status"] == "completed"


def test_a_task_is_given_to_nobody_who_is_not_there(system: Steward) -> None:
    boss = somebody(system, "boss", "manager")
    nobody = "019bb15d-b5f6-7088-8231-74d06cde3e3a"

    answer = boss.post(TASKS, new_task(nobody, datetime.now(UTC) + timedelta(days=1)))

    assert (answer.status, answer.error) == (422, "unknown_assignee")


PEOPLE = (("boss", "manager"), ("anna", "user"), ("bert", "user"))


def somebody(system: Steward, name: str, role: str) -> Door:
    """Let somebody register and get a role, and return the gateway as that one sees it."""
    address = person(name, days_away=0).email
    system.register(address, role)
    return system.sign_in(address)


def own_id(door: Door) -> str:
    """Return the id in the token that is shown."""
    assert door.token is not None
    return str(jwt.decode(door.token, options={"verify_signature": False})["sub"])


def email(system: Steward, user_id: str) -> str:
    return str(system.admin.get(f"{USERS}/{user_id}").data["email"])


def new_task(assignee_id: str, deadline: datetime) -> dict[str, str]:
    return {"title": "Count the bees", "assignee_id": assignee_id, "deadline": deadline.isoformat()}


def assigned(boss: Door, assignee_id: str, deadline: datetime) -> str:
    answer = boss.post(TASKS, new_task(assignee_id, deadline))
    assert answer.status == 201, answer
    return str(answer.data["id"])


def try_assigning(boss: Door, assignee_id: str, deadline: datetime) -> str | None:
    """Give a task as soon as nobody remembers that the assignee was away."""
    answer = boss.post(TASKS, new_task(assignee_id, deadline))
    return str(answer.data["id"]) if answer.status == 201 else None


def sweep(system: Steward) -> dict[str, int]:
    """Do a pass as cron does, and return what it says it did."""
    done = system.run_command(TASK, "auto_update_tasks", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def one_chain(system: Steward, user_id: str) -> str:
    """Return the one correlation id under which the events go, from the missed tasks to the deactivation."""
    missed = [event for event in system.events(TASK, "task.missed.v1") if event["data"]["assignee_id"] == user_id]
    limits = events_about(system, TASK, "task.miss_limit_reached.v1", user_id)
    switched_off = events_about(system, USER, "user.deactivated.v1", user_id)
    ids = {event["correlationid"] for event in (*missed, *limits, *switched_off)}
    assert (len(missed), len(limits), len(switched_off)) == (5, 1, 1)
    assert switched_off[0]["causationid"] == limits[0]["id"]
    assert len(ids) == 1
    return str(ids.pop())


def events_about(system: Steward, service: str, event_type: str, user_id: str) -> list[dict[str, Any]]:
    return [event for event in system.events(service, event_type) if UUID(event["data"]["user_id"]) == UUID(user_id)]
