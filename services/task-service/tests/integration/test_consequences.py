"""Who misses too many tasks is told of: once per window, never for what does not count, and by a person above a cap."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from event_contracts import TaskMissed, TaskMissLimitReached
from service_chassis import correlation
from service_chassis.correlation import Correlation
from service_chassis.database.paging import Paging
from service_chassis.ids import uuid7
from service_chassis.testing.service import Published
from task_service.model.actor import Actor
from task_service.model.errors import ConsequenceNotFound, NoLongerReached, NotHeld
from task_service.model.miss_limit import MissLimit
from task_service.model.task import TaskStatus
from task_service.persistence.tasks import TaskFilter
from task_service.usecases import consequences
from task_service.usecases.sweep import Done

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_five_missed_tasks_within_seven_days_are_told_to_user_service(
    desk: Any, people: Any, published: Published
) -> None:
    """S3-15."""
    anna = people.has()
    first, *_ = [desk.misses(anna)[0] for _ in range(4)]
    desk.sweeps()
    assert published(TaskMissLimitReached) == []

    (last,) = desk.misses(anna)
    desk.sweeps()

    (event,) = published(TaskMissLimitReached)
    assert (event.data.user_id, event.data.missed) == (anna, 5)
    assert event.data.counted_from == desk.task(first).missed_at
    assert event.data.reached_at == desk.task(last).missed_at


def test_four_are_not_enough_and_neither_are_five_of_different_people(
    desk: Any, people: Any, published: Published
) -> None:
    desk.misses(people.has(), 4)
    desk.misses(people.has(), 1)

    desk.sweeps()

    assert published(TaskMissLimitReached) == []


@pytest.mark.parametrize(("between", "told"), [(timedelta(microseconds=1), 1), (timedelta(0), 0)])
def test_the_window_is_seven_days_and_leaves_its_beginning_out(
    desk: Any, people: Any, published: Published, between: timedelta, told: int
) -> None:
    """C-27: a miss seven days before the last one counts no more."""
    anna = people.has()
    desk.assigns(anna, due=HOUR + between)
    desk.assigns(anna, due=HOUR + 7 * DAY, count=4)
    desk.clock.advance(8 * DAY)

    desk.sweeps()

    assert len(published(TaskMissLimitReached)) == told


def test_who_goes_on_missing_tasks_is_told_of_once_per_window(desk: Any, people: Any, published: Published) -> None:
    anna = people.has()
    for _ in range(9):
        desk.misses(anna)
        desk.clock.advance(DAY - HOUR)
        desk.sweeps()
    assert len(published(TaskMissLimitReached)) == 1

    for _ in range(3):
        desk.misses(anna)
        desk.clock.advance(DAY - HOUR)
    desk.sweeps()

    assert len(published(TaskMissLimitReached)) == 2


def test_after_a_reactivation_the_count_begins_anew(desk: Any, people: Any, published: Published) -> None:
    """C-20: a reactivated user is not hit again by the next run."""
    anna = people.has()
    desk.misses(anna, 5)
    desk.sweeps()
    people.deactivates(anna)
    people.reactivates(anna)

    desk.misses(anna, 4)
    desk.sweeps()
    assert len(published(TaskMissLimitReached)) == 1

    desk.misses(anna)
    desk.sweeps()
    assert len(published(TaskMissLimitReached)) == 2


@pytest.mark.parametrize("role", ["manager", "admin"])
def test_only_role_user_has_to_fear_anything(desk: Any, people: Any, published: Published, role: str) -> None:
    """C-27: only role User is ever deactivated by this rule."""
    desk.misses(people.has(role=role), 6)

    assert desk.sweeps() == Done(missed=6)
    assert published(TaskMissLimitReached) == []


def test_excused_corrected_and_deleted_tasks_do_not_count(desk: Any, people: Any, published: Published) -> None:
    """C-27: a corrected task lowers the count."""
    anna = people.has()
    excused, corrected, cancelled, deleted, extended, *_ = desk.misses(anna, 9)
    desk.excuses(excused)
    desk.sets(corrected, TaskStatus.COMPLETED)
    desk.sets(cancelled, TaskStatus.CANCELLED)
    desk.deletes(deleted)
    desk.extends(extended, 10 * DAY)
    with desk.units.write() as uow:
        counted = uow.tasks.misses([anna], replace(desk.rules, limit=4), uow.now - DAY)
        too_many = uow.tasks.misses([anna], replace(desk.rules, limit=5), uow.now - DAY)

    assert (len(counted), len(too_many)) == (1, 0)


def test_a_task_excused_before_its_deadline_is_missed_and_does_not_count(
    desk: Any, people: Any, published: Published
) -> None:
    anna = people.has()
    first, *_ = desk.assigns(anna, count=5)
    desk.excuses(first)
    desk.clock.advance(2 * HOUR)

    assert desk.sweeps() == Done(missed=5)
    assert published(TaskMissLimitReached) == []


def test_what_a_command_finds_due_has_happened_before_the_command(desk: Any, people: Any, published: Published) -> None:
    """A late sweep equals a punctual one: the excuse comes after the fifth miss, whenever that is noticed."""
    excused, *_ = desk.misses(people.has(), 5)

    desk.excuses(excused)
    desk.sweeps()

    assert len(published(TaskMissed)) == 5
    assert len(published(TaskMissLimitReached)) == 1


def test_a_consequence_goes_under_the_correlation_id_of_the_sweep_that_found_it(
    desk: Any, people: Any, published: Published
) -> None:
    desk.misses(people.has(), 5)

    with correlation.correlated(Correlation("the-sweep")):
        desk.begins_to_sweep()
    desk.sweeps()

    assert {event.correlation_id for event in published(TaskMissed)} == {"the-sweep"}
    assert [event.correlation_id for event in published(TaskMissLimitReached)] == ["the-sweep"]


def test_a_whole_sweep_tells_everything_under_its_correlation_id(desk: Any, people: Any, published: Published) -> None:
    desk.misses(people.has(), 5)

    with correlation.correlated(Correlation("the-sweep")):
        desk.sweeps()

    told = [*published(TaskMissed), *published(TaskMissLimitReached)]
    assert [event.correlation_id for event in told] == ["the-sweep"] * 6


def test_misses_that_were_counted_are_not_held_against_somebody_again_because_another_missed_something_earlier(
    desk: Any, people: Any, published: Published
) -> None:
    """Whoever managed people when they were counted is not accountable for them as a user."""
    anna, bert = people.has(role="manager"), people.has()
    by_bert = desk.assigns(bert)
    desk.misses(anna, 5)
    desk.sweeps()
    people.becomes(anna, "user")
    desk.clock.advance(8 * DAY)
    desk.misses(anna)
    with desk.units.write() as uow:
        uow.miss_limits.note({bert: desk.task(by_bert[0]).missed_at}, "a-sweep")

    desk.sweeps()

    assert published(TaskMissLimitReached) == []


def test_a_mistaken_bulk_assignment_of_one_manager_waits_for_an_admin(
    desk: Any, people: Any, published: Published
) -> None:
    hasty = Actor(uuid7(), manages=True)
    team = [people.has() for _ in range(4)]
    careless = people.has()
    desk.rules = replace(desk.rules, manager_cap=3)
    for user in team:
        desk.assigns(user, count=5, by=hasty)
    desk.assigns(careless, count=5)
    desk.clock.advance(2 * HOUR)

    assert desk.sweeps() == Done(missed=25, limits_reached=1, limits_held=4)

    assert [event.data.user_id for event in published(TaskMissLimitReached)] == [careless]
    assert {user for user, _, state in desk.limits() if state == "held"} == set(team)


def test_six_users_of_one_manager_are_all_switched_off_where_no_cap_is_set(
    desk: Any, people: Any, published: Published
) -> None:
    """S3-15."""
    manager = Actor(uuid7(), manages=True)
    for _ in range(6):
        desk.assigns(people.has(), count=5, by=manager)
    desk.clock.advance(2 * HOUR)

    assert desk.sweeps() == Done(missed=30, limits_reached=6)
    assert len(published(TaskMissLimitReached)) == 6


def test_too_many_consequences_in_one_sweep_all_wait(desk: Any, people: Any, published: Published) -> None:
    desk.rules = replace(desk.rules, sweep_cap=2)
    for _ in range(3):
        desk.assigns(people.has(), count=5, by=Actor(uuid7(), manages=True))
    desk.clock.advance(2 * HOUR)

    assert desk.sweeps() == Done(missed=15, limits_held=3)
    assert published(TaskMissLimitReached) == []


@pytest.fixture
def held(desk: Any, people: Any) -> MissLimit:
    desk.rules = replace(desk.rules, sweep_cap=1)
    for _ in range(2):
        desk.assigns(people.has(), count=5)
    desk.clock.advance(2 * HOUR)
    desk.sweeps()
    with desk.units.read() as uow:
        return uow.miss_limits.page("held", Paging()).items[0]


def held_alerts(office: Any, role: str) -> list[dict[str, Any]]:
    return list(office.client(role).get("/api/v1/tasks/alerts?kind=consequence_held").get_json()["data"])


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_held_consequence_is_an_alert_that_managers_and_admins_see_until_one_of_them_decides(
    held: MissLimit, office: Any, desk: Any, decision: str
) -> None:
    """S3-15, C-36."""
    desk.sweeps()
    for role in ("manager", "admin"):
        (alert,) = [alert for alert in held_alerts(office, role) if alert["assignee_id"] == str(held.user_id)]
        assert alert["consequence_id"] == str(held.id)
    others = len(held_alerts(office, "manager")) - 1

    decided = office.client("manager").post(f"/api/v1/tasks/consequences/{alert['consequence_id']}/{decision}")

    assert decided.status_code == 200, decided.get_json()
    assert len(held_alerts(office, "admin")) == others


def test_deciding_one_consequence_of_a_user_leaves_the_alert_of_another_read(
    held: MissLimit, office: Any, desk: Any, people: Any
) -> None:
    """S3-15."""
    desk.clock.advance(8 * DAY)
    for user in (held.user_id, people.has()):
        desk.misses(user, count=5)
    desk.sweeps()
    boss = office.client("manager")

    def theirs() -> list[dict[str, Any]]:
        alerts = boss.get("/api/v1/tasks/alerts?kind=consequence_held").get_json()["data"]
        return [alert for alert in alerts if alert["assignee_id"] == str(held.user_id)]

    first, other = theirs()
    boss.post("/api/v1/tasks/alerts/read", json={"ids": [first["id"], other["id"]]})
    boss.post(f"/api/v1/tasks/consequences/{first['consequence_id']}/reject")

    (left,) = theirs()
    assert (left["id"], left["read_at"] is not None) == (other["id"], True)


def test_an_admin_lets_a_held_consequence_go_on(desk: Any, held: MissLimit, published: Published) -> None:
    admin = uuid7()
    with desk.units.write() as uow:
        limit = consequences.approve(uow, desk.rules, held.id, admin)

    assert (limit.state, limit.decided_by, limit.decided_at) == ("released", admin, desk.clock.now())
    assert [event.data.limit_id for event in published(TaskMissLimitReached)] == [held.id]
    with pytest.raises(NotHeld), desk.units.write() as uow:
        consequences.approve(uow, desk.rules, held.id, admin)


def test_an_admin_ends_a_held_consequence_and_it_does_not_come_back(
    desk: Any, held: MissLimit, published: Published
) -> None:
    with desk.units.write() as uow:
        assert consequences.reject(uow, held.id, uuid7()).state == "rejected"
    desk.misses(held.user_id)
    desk.sweeps()

    assert published(TaskMissLimitReached) == []


def test_a_held_consequence_is_approved_for_a_later_miss_if_the_first_was_excused(
    desk: Any, held: MissLimit, published: Published
) -> None:
    with desk.units.read() as uow:
        task = uow.tasks.page(TaskFilter(assignee_id=held.user_id), Paging(), uow.now).items[0]
    desk.excuses(task.id)
    (later,) = desk.misses(held.user_id)
    desk.sweeps()

    with desk.units.write() as uow:
        consequences.approve(uow, desk.rules, held.id, uuid7())

    (event,) = published(TaskMissLimitReached)
    assert (event.data.limit_id, event.data.reached_at) == (held.id, desk.task(later).deadline)


def test_misses_found_before_it_is_heard_that_the_user_is_back_count_once_it_is(
    desk: Any, people: Any, published: Published
) -> None:
    anna = people.has()
    desk.assigns(anna, count=5)
    people.deactivates(anna)
    people.reactivates(anna, told=False)
    desk.clock.advance(2 * HOUR)
    assert desk.sweeps() == Done(missed=5)

    people.tells_of_return(anna)

    assert desk.sweeps() == Done(limits_reached=1)
    assert [event.data.user_id for event in published(TaskMissLimitReached)] == [anna]


def test_what_was_corrected_meanwhile_is_not_approved(desk: Any, held: MissLimit, published: Published) -> None:
    with desk.units.read() as uow:
        task = uow.tasks.page(TaskFilter(assignee_id=held.user_id), Paging(), uow.now).items[0]
    desk.excuses(task.id)

    with pytest.raises(NoLongerReached), desk.units.write() as uow:
        consequences.approve(uow, desk.rules, held.id, uuid7())

    assert published(TaskMissLimitReached) == []


def test_there_is_nothing_to_decide_where_nothing_is_held(desk: Any) -> None:
    with pytest.raises(ConsequenceNotFound), desk.units.write() as uow:
        consequences.reject(uow, uuid7(), uuid7())


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["earlier first", "later first"])
def test_misses_are_counted_from_the_first_that_is_not_counted_yet_whatever_is_found_first(
    desk: Any, order: tuple[int, int]
) -> None:
    anna, found = uuid7(), [desk.clock.now() + days * DAY for days in (1, 9)]
    for which in order:
        with desk.units.write() as uow:
            uow.miss_limits.note({anna: found[which]}, "a-sweep")

    with desk.units.write() as uow:
        (uncounted,) = uow.miss_limits.take()

    assert (uncounted.user_id, uncounted.since) == (anna, found[0])
