"""Tasks at the door: who may do what, what is refused and with which code."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.ids import uuid7
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.web import Trial

TASKS = "/api/v1/tasks"
ANY_ID = "01a21a05-ab37-7fe7-afc5-0e8f9d965f33"
HOUR = timedelta(hours=1)


def code(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["error"]


def data(answer: TestResponse) -> Any:
    assert answer.status_code < 300, answer.get_json()
    return answer.get_json()["data"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", TASKS),
        ("POST", TASKS),
        ("POST", f"{TASKS}/bulk-assign"),
        ("GET", f"{TASKS}/{ANY_ID}"),
        ("PATCH", f"{TASKS}/{ANY_ID}"),
        ("DELETE", f"{TASKS}/{ANY_ID}"),
        ("POST", f"{TASKS}/{ANY_ID}/status"),
        ("GET", f"{TASKS}/{ANY_ID}/history"),
        ("GET", f"{TASKS}/alerts"),
        ("GET", f"{TASKS}/summary"),
        ("GET", f"{TASKS}/consequences"),
    ],
)
@only_sqlite
def test_nothing_goes_without_a_token(trial: Trial, method: str, path: str) -> None:
    """S3-01."""
    assert code(trial.client(role=None).open(path, method=method)) == (401, "unauthenticated")


@pytest.mark.parametrize("role", ["manager", "admin"])
def test_managers_and_admins_give_tasks_with_a_deadline(trial: Trial, office: Any, role: str) -> None:
    """S3-03, S3-05."""
    manager = uuid7()
    body = office.body(office.anna, title="Feed the bees", description="All of them.", priority="high")

    task = data(office.client(role, manager).post(TASKS, json=body))

    assert (task["title"], task["description"], task["priority"]) == ("Feed the bees", "All of them.", "high")
    assert (task["assignee_id"], task["creator_id"]) == (str(office.anna), str(manager))
    assert (task["status"], task["version"], task["missed_at"], task["excused"]) == ("pending", 1, None, False)
    assert data(office.client("user", office.anna).get(f"{TASKS}/{task['id']}")) == task


def test_a_manager_sees_all_tasks_and_changes_any(office: Any) -> None:
    """S3-06, S3-12: list, read, change and delete."""
    task, other = office.new_task(office.anna), office.new_task(office.bert)
    boss = office.client("manager")

    assert {found["id"] for found in data(boss.get(TASKS))} == {task["id"], other["id"]}
    changed = data(boss.patch(f"{TASKS}/{task['id']}", json={"title": "Count them again", "version": 1}))
    assert (changed["title"], changed["version"]) == ("Count them again", 2)

    assert data(boss.delete(f"{TASKS}/{task['id']}")) is None
    assert code(boss.get(f"{TASKS}/{task['id']}")) == (404, "task_not_found")
    assert code(boss.delete(f"{TASKS}/{task['id']}")) == (404, "task_not_found")
    assert [found["id"] for found in data(boss.get(TASKS))] == [other["id"]]


def test_a_task_is_replaced_as_a_whole(office: Any) -> None:
    """S2-10, S3-12: what is left out becomes what it is in a new task; the deadline has a path of its own."""
    task = office.new_task(office.anna, description="All of them.", priority="high")
    boss, path = office.client("manager"), f"{TASKS}/{task['id']}"

    replaced = data(boss.put(path, json={"title": "Feed them", "version": 1}))

    assert (replaced["title"], replaced["description"], replaced["priority"]) == ("Feed them", "", "normal")
    assert replaced["deadline"] == task["deadline"]
    assert code(boss.put(path, json={"priority": "urgent"})) == (400, "validation_failed")
    assert code(boss.put(path, json={"title": "Again", "version": 1})) == (409, "stale_version")
    assert code(office.client("user", office.anna).put(path, json={"title": "Mine"})) == (403, "forbidden")


def test_tasks_and_alerts_show_how_their_assignee_is_called(office: Any, desk: Any, people: Any) -> None:
    """S3-05, S3-07, C-33: as soon as it is known, and never of one who was purged."""
    anna = people.has(name="Anna Berg", username="annie")
    task = office.new_task(anna)
    desk.clock.advance(timedelta(hours=2))
    desk.sweeps()
    boss = office.client("manager")

    def shown() -> set[tuple[str | None, str | None]]:
        alerts = data(boss.get(f"{TASKS}/alerts"))
        assert alerts
        seen = [data(boss.get(f"{TASKS}/{task['id']}")), *data(boss.get(TASKS)), *alerts]
        return {(row["assignee_username"], row["assignee_name"]) for row in seen}

    assert (task["assignee_username"], task["assignee_name"]) == ("annie", "Anna Berg")
    assert shown() == {("annie", "Anna Berg")}
    people.is_called(anna, "Anna Lund", None)
    assert shown() == {(None, "Anna Lund")}
    people.purges(anna)
    assert shown() == {(None, None)}


def test_whoever_was_not_heard_of_yet_is_shown_by_name_once_user_service_was_asked(office: Any, people: Any) -> None:
    """C-33."""
    task = office.new_task(people.has(name="Anna Berg", username="annie", told=False))

    assert (task["assignee_username"], task["assignee_name"]) == ("annie", "Anna Berg")


def test_a_user_sees_only_their_own_tasks(office: Any) -> None:
    """S3-09: the task of another is not there at all."""
    own, foreign = office.new_task(office.anna), office.new_task(office.bert)
    anna = office.client("user", office.anna)

    assert [found["id"] for found in data(anna.get(TASKS))] == [own["id"]]
    assert [found["id"] for found in data(anna.get(f"{TASKS}?assignee_id={office.bert}"))] == [own["id"]]
    for answer in (
        anna.get(f"{TASKS}/{foreign['id']}"),
        anna.get(f"{TASKS}/{foreign['id']}/history"),
        anna.post(f"{TASKS}/{foreign['id']}/status", json={"status": "completed"}),
    ):
        assert code(answer) == (404, "task_not_found")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_user_moves_the_status_of_their_own_task(office: Any, method: str) -> None:
    """S3-10; in the original the assignee could not."""
    task = office.new_task()
    anna = office.client("user", office.anna)
    path = f"{TASKS}/{task['id']}/status"

    begun = data(anna.open(path, method=method, json={"status": "in_progress", "version": 1}))
    done = data(anna.open(path, method=method, json={"status": "completed", "note": "All there."}))

    assert (begun["status"], begun["version"]) == ("in_progress", 2)
    assert (done["status"], done["version"], done["completed_at"] is not None) == ("completed", 3, True)
    newest, *_ = data(anna.get(f"{TASKS}/{task['id']}/history"))
    assert (newest["action"], newest["actor"], newest["note"]) == (
        "task_status_changed",
        str(office.anna),
        "All there.",
    )
    assert newest["changes"] == {"status": ["in_progress", "completed"]}


@only_sqlite
def test_a_user_neither_makes_nor_deletes_nor_hands_on_tasks(office: Any) -> None:
    """S3-11, S3-25."""
    path = f"{TASKS}/{office.new_task()['id']}"
    anna = office.client("user", office.anna)
    deadline = office.body(office.anna)["deadline"]

    for answer in (
        anna.post(TASKS, json=office.body(office.anna)),
        anna.post(
            f"{TASKS}/bulk-assign", json={"title": "x", "deadline": deadline, "assignee_ids": [str(office.bert)]}
        ),
        anna.patch(path, json={"title": "x"}),
        anna.delete(path),
        anna.post(f"{path}/extend", json={"deadline": deadline}),
        anna.post(f"{path}/excuse", json={}),
        anna.post(f"{path}/reassign", json={"assignee_id": str(office.bert)}),
        anna.get(f"{TASKS}/alerts"),
        anna.post(f"{TASKS}/alerts/read", json={"ids": [1]}),
        anna.get(f"{TASKS}/summary"),
    ):
        assert code(answer) == (403, "forbidden")


def test_managers_and_admins_decide_about_consequences(office: Any) -> None:
    """S3-15."""
    path = f"{TASKS}/consequences"
    user = office.client("user")

    assert code(user.get(path)) == (403, "forbidden")
    assert code(user.post(f"{path}/{uuid7()}/approve")) == (403, "forbidden")
    for role in ("manager", "admin"):
        assert code(office.client(role).post(f"{path}/{uuid7()}/approve")) == (404, "consequence_not_found")


@pytest.mark.parametrize("status", ["missed", "cancelled"])
def test_a_user_neither_sets_missed_nor_cancels(office: Any, status: str) -> None:
    """S3-14."""
    path = f"{TASKS}/{office.new_task()['id']}/status"

    assert code(office.client("user", office.anna).post(path, json={"status": status})) == (403, "status_not_yours")


def test_not_even_a_manager_sets_missed_by_hand(office: Any) -> None:
    path = f"{TASKS}/{office.new_task()['id']}/status"

    assert code(office.client("manager").post(path, json={"status": "missed"})) == (409, "invalid_transition")


@pytest.mark.parametrize("version", [None, 1, 2])
def test_a_user_completes_nothing_after_its_deadline(office: Any, clock: ManualClock, version: int | None) -> None:
    """C-27, and the deadline counts whether or not a sweep has seen the task."""
    task = office.new_task()
    clock.advance(HOUR + timedelta(microseconds=1))
    path = f"{TASKS}/{task['id']}/status"
    body = {"status": "completed", "version": version}

    assert code(office.client("user", office.anna).post(path, json=without_none(body))) == (409, "deadline_passed")


def test_a_manager_corrects_a_missed_task(office: Any, clock: ManualClock) -> None:
    """C-27."""
    task = office.new_task()
    clock.advance(2 * HOUR)

    done = data(office.client("manager").post(f"{TASKS}/{task['id']}/status", json={"status": "completed"}))

    assert (done["status"], done["missed_at"], done["version"]) == ("completed", None, 3)


def test_an_extended_task_is_open_again(office: Any, clock: ManualClock) -> None:
    task = office.new_task()
    clock.advance(2 * HOUR)
    boss = office.client("manager")
    deadline = (clock.now() + HOUR).isoformat()

    extended = data(boss.post(f"{TASKS}/{task['id']}/extend", json={"deadline": deadline, "note": "It rained."}))

    assert (extended["status"], extended["missed_at"], extended["version"]) == ("pending", None, 3)
    assert data(office.client("user", office.anna).post(f"{TASKS}/{task['id']}/status", json={"status": "completed"}))


def test_a_task_is_handed_on_and_changes_hands(office: Any) -> None:
    task = office.new_task(office.anna)
    path = f"{TASKS}/{task['id']}"
    boss = office.client("manager")

    handed = data(boss.post(f"{path}/reassign", json={"assignee_id": str(office.bert), "version": 1}))

    assert (handed["assignee_id"], handed["version"]) == (str(office.bert), 2)
    assert code(office.client("user", office.anna).get(path)) == (404, "task_not_found")
    assert data(office.client("user", office.bert).get(path)) == handed
    same = boss.post(f"{path}/reassign", json={"assignee_id": str(office.bert)})
    assert code(same) == (409, "same_assignee")


def test_a_bulk_assignment_is_for_all_or_nobody(office: Any, clock: ManualClock) -> None:
    boss = office.client("manager")
    body = {"title": "Count the bees", "deadline": (clock.now() + HOUR).isoformat()}
    both = [str(office.anna), str(office.bert)]

    made = data(boss.post(f"{TASKS}/bulk-assign", json={**body, "assignee_ids": [*both, both[0]]}))
    refused = boss.post(f"{TASKS}/bulk-assign", json={**body, "assignee_ids": [*both, str(uuid7())]})

    assert [task["assignee_id"] for task in made] == both
    assert code(refused) == (422, "unknown_assignee")
    assert boss.get(TASKS).get_json()["meta"]["total"] == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"deadline": "yesterday"}, "deadline"),
        ({"deadline": "2030-01-15T13:00:00"}, "deadline"),
        ({"deadline": "9999-12-31T23:59:59-12:00"}, "deadline"),
        ({"deadline": None}, "deadline"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"priority": "whenever"}, "priority"),
        ({"assignee_id": "anna"}, "assignee_id"),
        ({"status": "completed"}, "status"),
        ({"title": "a\0b"}, "title"),
    ],
)
@only_sqlite
def test_a_bad_value_is_named(office: Any, changes: dict[str, Any], field: str) -> None:
    answer = office.client("manager").post(TASKS, json={**office.body(office.anna), **changes})

    assert code(answer) == (400, "validation_failed")
    assert set(answer.get_json()["data"]["errors"]) == {field}


@only_sqlite
@pytest.mark.parametrize("due", [-HOUR, timedelta(0)])
def test_a_deadline_in_the_past_is_refused(office: Any, due: timedelta) -> None:
    boss = office.client("manager")
    task = office.new_task()
    late = office.body(office.anna, due=due)

    assert code(boss.post(TASKS, json=late)) == (400, "deadline_in_past")
    assert code(boss.post(f"{TASKS}/{task['id']}/extend", json={"deadline": late["deadline"]})) == (
        400,
        "deadline_in_past",
    )


@only_sqlite
def test_an_unknown_status_is_refused(office: Any) -> None:
    path = f"{TASKS}/{office.new_task()['id']}/status"
    anna = office.client("user", office.anna)

    assert code(anna.post(path, json={"status": "banana"})) == (400, "validation_failed")
    assert code(anna.post(path, json={"status": "deleted"})) == (400, "validation_failed")
    assert code(anna.post(path, json={"status": "pending"})) == (409, "invalid_transition")


@only_sqlite
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"title": "x"}),
        ("/status", {"status": "completed"}),
        ("/extend", {"deadline": "2030-02-01T00:00:00Z"}),
        ("/excuse", {}),
        ("/reassign", {}),
    ],
)
def test_a_change_to_another_version_is_refused(office: Any, path: str, body: dict[str, Any]) -> None:
    task = office.new_task()
    boss = office.client("manager")
    if path == "/reassign":
        body = {"assignee_id": str(office.bert)}
    data(boss.patch(f"{TASKS}/{task['id']}", json={"title": "Changed meanwhile"}))

    method = "POST" if path else "PATCH"
    answer = boss.open(f"{TASKS}/{task['id']}{path}", method=method, json={**body, "version": 1})

    assert code(answer) == (409, "stale_version")


def test_nobody_is_given_a_task_who_is_not_there_to_do_it(office: Any, people: Any) -> None:
    people.deactivates(office.anna)
    people.purges(office.bert)
    boss = office.client("manager")

    for user in (uuid7(), office.anna, office.bert):
        assert code(boss.post(TASKS, json=office.body(user))) == (422, "unknown_assignee")


def test_whoever_has_just_registered_can_be_given_a_task_at_once(office: Any, people: Any) -> None:
    """A projection may say yes; only the owner may say no."""
    carla = people.has(told=False)

    assert office.new_task(carla)["assignee_id"] == str(carla)
    asked = len(people.asked)
    office.new_task(carla)
    assert len(people.asked) == asked == 1


def test_whoever_has_just_been_reactivated_can_be_given_a_task_at_once(office: Any, people: Any) -> None:
    people.deactivates(office.anna)
    people.reactivates(office.anna, told=False)

    office.new_task(office.anna)


def test_nobody_is_refused_while_user_service_is_away(office: Any, people: Any) -> None:
    people.away = True
    boss = office.client("manager")

    assert boss.post(TASKS, json=office.body(uuid7())).status_code == 503
    assert boss.post(TASKS, json=office.body(office.anna)).status_code == 201


def test_user_service_is_asked_once_however_many_are_given_a_task(office: Any, people: Any) -> None:
    new = [people.has(told=False) for _ in range(499)]
    boss = office.client("manager")
    body = office.body(office.anna)
    del body["assignee_id"]

    answer = boss.post(
        f"{TASKS}/bulk-assign", json=body | {"assignee_ids": [str(each) for each in (office.anna, *new)]}
    )

    assert answer.status_code == 201
    assert [sorted(asked) for asked in people.asked] == [sorted(new)]
    nobody = [str(uuid7()) for _ in range(500)]
    refused = boss.post(f"{TASKS}/bulk-assign", json=body | {"assignee_ids": nobody})
    assert code(refused) == (422, "unknown_assignee")
    assert len(people.asked) == 2


def test_user_service_is_not_asked_again_and_again_about_nobody(office: Any, people: Any) -> None:
    nobody = uuid7()
    boss = office.client("manager")

    answers = [code(boss.post(TASKS, json=office.body(nobody))) for _ in range(3)]

    assert answers == [(422, "unknown_assignee")] * 3
    assert len(people.asked) == 1


def test_a_repeat_under_the_same_key_makes_no_second_task(office: Any) -> None:
    boss = office.client("manager", uuid7())
    headers = {"X-Request-ID": "once"}
    body = office.body(office.anna)

    first, second = (boss.post(TASKS, json=body, headers=headers) for _ in range(2))

    assert data(first) == data(second)
    assert boss.get(TASKS).get_json()["meta"]["total"] == 1


def test_lists_can_be_narrowed_and_sorted(office: Any, people: Any, clock: ManualClock) -> None:
    boss = office.client("manager")
    soon = office.new_task(office.anna, due=HOUR, title="Feed the bees")["id"]
    later = office.new_task(office.bert, due=5 * HOUR, title="Count 100% of the ants")["id"]
    latest = office.new_task(office.bert, due=9 * HOUR, title="Sleep")["id"]
    data(boss.post(f"{TASKS}/{latest}/status", json={"status": "cancelled"}))
    people.deactivates(office.anna)
    between = clock.now() + 2 * HOUR, clock.now() + 6 * HOUR
    clock.advance(2 * HOUR)

    def found(**query: Any) -> list[str]:
        return [task["id"] for task in data(office.client("manager").get(TASKS, query_string=query))]

    assert found() == [latest, later, soon]
    assert found(sort="created") == [soon, later, latest]
    assert found(sort="deadline") == [soon, later, latest]
    assert found(sort="-deadline") == [latest, later, soon]
    assert found(status="cancelled") == [latest]
    assert found(assignee_id=office.bert) == [latest, later]
    assert found(assignee_status="deactivated") == [soon]
    assert found(text="BEES") == [soon]
    assert found(text="100%") == [later]
    assert found(overdue=True) == [soon]
    assert found(overdue=False) == [latest, later]
    assert found(deadline_from=between[0].isoformat(), deadline_to=between[1].isoformat()) == [later]


@pytest.mark.parametrize("sort", ["created", "-created", "deadline", "-deadline"])
def test_a_list_can_be_walked_with_a_cursor(office: Any, sort: str) -> None:
    made = {office.new_task()["id"] for _ in range(5)}
    boss = office.client("manager")
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = boss.get(TASKS, query_string={"limit": 2, "cursor": cursor, "sort": sort})
        seen += [task["id"] for task in data(answer)]
        cursor = answer.get_json()["meta"]["next_cursor"]

    assert len(seen) == len(set(seen))
    assert set(seen) == made


def test_the_summary_counts_by_assignee_and_by_manager(office: Any, clock: ManualClock) -> None:
    boss_id = uuid7()
    boss = office.client("manager", boss_id)
    for user in (office.anna, office.anna, office.bert):
        data(boss.post(TASKS, json=office.body(user)))
    first = data(boss.get(TASKS))[0]["id"]
    data(boss.post(f"{TASKS}/{first}/status", json={"status": "completed"}))

    per_assignee = {UUID(row["user_id"]): row for row in data(boss.get(f"{TASKS}/summary"))}
    (of_boss,) = data(boss.get(f"{TASKS}/summary?by=creator"))

    assert (per_assignee[office.anna]["pending"], per_assignee[office.anna]["total"]) == (2, 2)
    assert (per_assignee[office.bert]["completed"], per_assignee[office.bert]["missed"]) == (1, 0)
    assert (of_boss["user_id"], of_boss["pending"], of_boss["completed"], of_boss["total"]) == (str(boss_id), 2, 1, 3)


def without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
