import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from event_contracts import Contract, UserDeactivated, UserReactivated
from service_chassis.clock import ManualClock
from service_chassis.messaging.envelope import Event
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.errors import LastAdmin
from user_service.model.user import Role, User
from user_service.usecases import lifecycle

Published = Callable[[type[Contract]], list[Event]]
HOUR = timedelta(hours=1)


def deactivate(client: FlaskClient, user: User, **body: str) -> TestResponse:
    return client.post(f"/api/v1/users/{user.id}/deactivate", json=body)


def reactivate(client: FlaskClient, user: User, **body: str) -> TestResponse:
    return client.post(f"/api/v1/users/{user.id}/reactivate", json=body)


def error(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def demo_admin(service: Service) -> User:
    with service.units.read() as uow:
        admin: User = uow.users.by_email("admin@example.com")
        return admin


def test_a_deactivated_user_is_shown_as_such_and_told_of(
    admin: FlaskClient, anna: User, clock: ManualClock, service: Service, published: Published
) -> None:
    clock.advance(timedelta(minutes=5))

    response = deactivate(admin, anna, reason="left the company")

    shown = response.get_json()["data"]
    assert (response.status_code, response.get_json()["message"]) == (200, "User deactivated")
    assert (shown["status"], shown["is_active"], shown["deactivation_reason"]) == ("deactivated", False, "admin")
    assert shown["deactivated_at"] == clock.now().isoformat()
    (event,) = published(UserDeactivated)
    assert (event.data.user_id, event.data.actor_id, event.version) == (anna.id, demo_admin(service).id, 2)
    assert (event.data.run_id, event.data.deactivation_reason) == (None, "admin")


def test_a_reactivated_user_can_sign_in_again_and_counts_as_active_today(
    admin: FlaskClient,
    anna: User,
    clock: ManualClock,
    signed_in: Callable[..., FlaskClient],
    published: Published,
) -> None:
    """S3-04."""
    deactivate(admin, anna)
    clock.advance(timedelta(minutes=5))

    shown = reactivate(admin, anna, reason="is back").get_json()["data"]

    assert (shown["status"], shown["deactivated_at"], shown["deactivation_reason"]) == ("active", None, None)
    assert shown["reactivated_at"] == shown["last_activity_at"] == clock.now().isoformat()
    (event,) = published(UserReactivated)
    assert (event.data.user_id, event.data.last_activity_at, event.version) == (anna.id, clock.now(), 3)
    assert signed_in(anna.email).get(f"/api/v1/users/{anna.id}").status_code == 200


def test_the_history_says_who_did_what_when_and_why(
    admin: FlaskClient, anna: User, clock: ManualClock, service: Service
) -> None:
    clock.advance(timedelta(minutes=1))
    correlated = {"X-Correlation-ID": "ticket-7"}
    admin.post(f"/api/v1/users/{anna.id}/deactivate", json={"reason": "left"}, headers=correlated)
    clock.advance(timedelta(minutes=1))
    reactivate(admin, anna, reason="is back")

    answer = admin.get(f"/api/v1/users/{anna.id}/history").get_json()

    by = str(demo_admin(service).id)
    assert [(entry["action"], entry["reason"], entry["actor"]) for entry in answer["data"]] == [
        ("user_reactivated", "is back", by),
        ("user_deactivated", "left", by),
        ("user_registered", None, "self"),
    ]
    assert answer["data"][1]["correlation_id"] == "ticket-7"
    assert [entry["at"] for entry in answer["data"]] == [
        (clock.now() - timedelta(minutes=minutes)).isoformat() for minutes in (0, 1, 2)
    ]
    assert answer["meta"]["total"] == 3


def test_nobody_is_switched_off_or_on_twice(admin: FlaskClient, anna: User, published: Published) -> None:
    assert error(reactivate(admin, anna)) == (409, "already_active")
    deactivate(admin, anna)

    assert error(deactivate(admin, anna)) == (409, "already_deactivated")
    assert len(published(UserDeactivated)) == 1


def test_a_deactivation_repeated_under_its_key_gets_the_first_answer(
    admin: FlaskClient, anna: User, published: Published
) -> None:
    answers = [
        admin.post(f"/api/v1/users/{anna.id}/deactivate", json={}, headers={"Idempotency-Key": "once"})
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].data == answers[1].data
    assert len(published(UserDeactivated)) == 1


@only_sqlite
@pytest.mark.parametrize(
    ("role", "target", "statuses"),
    [
        (Role.ADMIN, Role.USER, (200, 200)),
        (Role.ADMIN, Role.MANAGER, (200, 200)),
        (Role.ADMIN, Role.ADMIN, (200, 200)),
        (Role.MANAGER, Role.USER, (403, 200)),
        (Role.MANAGER, Role.MANAGER, (403, 403)),
        (Role.MANAGER, Role.ADMIN, (403, 403)),
        (Role.USER, Role.USER, (403, 403)),
    ],
)
def test_admins_switch_everybody_off_and_on_and_managers_switch_users_on(
    people: tuple[FlaskClient, User], admin: FlaskClient, statuses: tuple[int, int]
) -> None:
    """S3-02, S3-04, S3-08."""
    actor, target = people

    off = deactivate(actor, target)
    deactivate(admin, target)
    on = reactivate(actor, target)

    assert (off.status_code, on.status_code) == statuses


@pytest.fixture
def people(
    role: Role, target: Role, new_user: Callable[..., User], signed_in: Callable[..., FlaskClient]
) -> tuple[FlaskClient, User]:
    """Somebody of one role who is signed in, and somebody of another."""
    return signed_in(new_user("actor", role).email), new_user("target", target)


def test_the_last_admin_stays(admin: FlaskClient, service: Service, new_user: Callable[..., User]) -> None:
    other = new_user("olga", Role.ADMIN)
    assert deactivate(admin, other).status_code == 200

    assert error(deactivate(admin, demo_admin(service))) == (409, "last_admin")

    assert (
        admin.get("/api/v1/users", query_string={"role": "admin", "status": "active"}).get_json()["meta"]["total"] == 1
    )


def test_two_admins_who_switch_each_other_off_at_once_leave_one(
    service: Service, new_user: Callable[..., User], state_of: Callable[[User], User]
) -> None:
    pair = [demo_admin(service), new_user("olga", Role.ADMIN)]
    together = threading.Barrier(2)
    outcomes: list[Any] = []

    def switch_off(user: User, by: User) -> None:
        together.wait(10)
        try:
            with service.units.write() as uow:
                outcomes.append(lifecycle.deactivate(uow, user.id, "", by=by.id, tokens_live=HOUR))
        except LastAdmin as error:
            outcomes.append(error)

    threads = [threading.Thread(target=switch_off, args=users) for users in (pair, reversed(pair))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastAdmin", "User"]
    assert sorted(state_of(user).is_active for user in pair) == [False, True]
