"""What managers are alerted to, for as long as it holds, and what each of them has read."""

from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from service_chassis.ids import uuid7
from task_service.model.task import TaskStatus

ALERTS = "/api/v1/tasks/alerts"
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def data(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()["data"]


def test_managers_see_the_tasks_that_were_missed(desk: Any, people: Any, office: Any) -> None:
    """S3-07, S3-16."""
    anna = people.has()
    (task,) = desk.misses(anna)
    desk.sweeps()

    (alert,) = data(office.client("manager").get(ALERTS, query_string={"kind": "missed"}))

    assert (alert["task_id"], alert["assignee_id"], alert["kind"]) == (str(task), str(anna), "missed")
    assert (alert["creator_id"], alert["read_at"]) == (str(desk.manager.id), None)


def test_a_task_is_due_soon_a_day_before_its_deadline_and_is_told_once(desk: Any, people: Any) -> None:
    (task,) = desk.assigns(people.has(), due=2 * DAY)
    desk.clock.advance(DAY)
    desk.sweeps()
    assert desk.alerts() == set()

    desk.clock.advance(HOUR)
    assert (desk.sweeps().due_soon, desk.sweeps().due_soon) == (1, 0)
    assert desk.alerts() == {(task, "due_soon")}

    desk.clock.advance(DAY)
    desk.sweeps()
    assert desk.alerts() == {(task, "missed")}


@pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.CANCELLED])
def test_an_alert_goes_with_its_reason(desk: Any, people: Any, status: TaskStatus) -> None:
    missed, *_ = desk.misses(people.has())
    soon, *_ = desk.assigns(people.has())
    desk.sweeps()
    assert desk.alerts() == {(missed, "missed"), (soon, "due_soon")}

    desk.sets(missed, status)
    desk.sets(soon, status)

    assert desk.alerts() == set()


def test_a_task_that_is_missed_again_after_an_extension_is_alerted_again(desk: Any, people: Any) -> None:
    (task,) = desk.misses(people.has())
    desk.sweeps()
    desk.extends(task, HOUR)
    assert desk.alerts() == set()

    desk.clock.advance(2 * HOUR)
    desk.sweeps()

    assert desk.alerts() == {(task, "missed")}


def test_open_tasks_of_a_deactivated_user_are_alerted_until_the_user_is_back(desk: Any, people: Any) -> None:
    anna, bert = people.has(), people.has()
    (open_task,) = desk.assigns(anna, due=3 * DAY)
    (done,) = desk.assigns(anna, due=3 * DAY)
    desk.assigns(bert, due=3 * DAY)
    desk.sets(done, TaskStatus.COMPLETED)

    people.deactivates(anna)
    assert desk.alerts() == {(open_task, "assignee_deactivated")}

    people.reactivates(anna)
    assert desk.alerts() == set()


def test_a_missed_task_is_nobodys_to_hand_over_until_it_is_open_again(desk: Any, people: Any) -> None:
    anna = people.has()
    (task,) = desk.assigns(anna)
    people.deactivates(anna)
    desk.clock.advance(2 * HOUR)
    desk.sweeps()
    assert desk.alerts() == {(task, "missed")}

    desk.extends(task, 3 * DAY)

    assert desk.alerts() == {(task, "assignee_deactivated")}


def test_a_purged_user_leaves_tasks_behind_under_an_id_that_leads_nowhere(desk: Any, people: Any, office: Any) -> None:
    anna = people.has()
    (task,) = desk.assigns(anna, due=3 * DAY)

    people.purges(anna)

    assert desk.alerts() == {(task, "assignee_deactivated")}
    listed = data(office.client("manager").get("/api/v1/tasks?assignee_status=purged"))
    assert [found["assignee_id"] for found in listed] == [str(anna)]


def test_each_manager_reads_alerts_for_themselves(desk: Any, people: Any, office: Any) -> None:
    desk.misses(people.has(), 2)
    desk.sweeps()
    mia, max_ = office.client("manager", uuid7()), office.client("admin", uuid7())
    first, second = (alert["id"] for alert in data(mia.get(ALERTS)))

    assert data(mia.post(f"{ALERTS}/read", json={"ids": [first, first, 999]})) == {"read": 1}
    assert data(mia.post(f"{ALERTS}/read", json={"ids": [first]})) == {"read": 0}

    assert [alert["id"] for alert in data(mia.get(ALERTS, query_string={"read": False}))] == [second]
    assert [alert["id"] for alert in data(mia.get(ALERTS, query_string={"read": True}))] == [first]
    assert len(data(max_.get(ALERTS, query_string={"read": False}))) == 2


def test_alerts_can_be_narrowed_to_one_manager_and_one_assignee(desk: Any, people: Any, office: Any) -> None:
    anna, bert = people.has(), people.has()
    desk.assigns(anna)
    desk.assigns(bert)
    desk.sweeps()
    boss = office.client("manager")

    assert len(data(boss.get(ALERTS, query_string={"creator_id": desk.manager.id}))) == 2
    assert data(boss.get(ALERTS, query_string={"creator_id": uuid7()})) == []
    (alert,) = data(boss.get(ALERTS, query_string={"assignee_id": anna}))
    assert alert["assignee_id"] == str(anna)
