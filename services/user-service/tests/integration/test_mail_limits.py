"""Nobody is told by mails who is registered, and nobody is flooded with them. S 5."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from service_chassis.clock import ManualClock
from service_chassis.messaging.broker import Delivery
from service_chassis.service import Service
from service_chassis.testing.plugin import only_sqlite
from user_service.model.notification import SYSTEM_TEMPLATES, Notification
from user_service.model.throttle import MAILS_BY, MAILS_TO, NOTIFICATIONS_TO
from user_service.model.user import Role, User

AUTH, ACCOUNTS, NOTIFICATIONS = "/api/v1/auth", "/api/v1/accounts", "/api/v1/notifications"
PASSWORD, NEW = "correct horse", "battery staple"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
Mails = Callable[[], list[dict[str, Any]]]


def data(response: TestResponse) -> Any:
    assert response.status_code < 300, response.text
    return response.get_json()["data"]


def code(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def change_email(client: FlaskClient, email: str) -> TestResponse:
    return client.post(f"{AUTH}/email-change", json={"email": email, "password": PASSWORD})


def traces(client: FlaskClient) -> list[tuple[str, str, str]]:
    """What somebody can see of what was sent in their name."""
    listed = data(client.get(NOTIFICATIONS))
    exported = data(client.get(f"/api/v1/users/{data(client.get('/api/v1/users/profile'))['id']}/export"))
    assert len(exported["notifications"]) == len(listed)
    return [(each["template_code"], each["type"], each["status"]) for each in listed]


def test_a_change_of_address_leaves_the_same_traces_whether_or_not_the_address_is_taken(
    as_anna: FlaskClient, as_bert: FlaskClient, new_user: Callable[..., User], mails: Mails
) -> None:
    taken = new_user("carl").email

    answers = change_email(as_anna, taken), change_email(as_bert, "free@example.com")

    assert answers[0].data == answers[1].data
    assert traces(as_anna) == traces(as_bert) == [("email_change_notice", "email", "processing")]
    assert [mail["to"] for mail in mails() if mail["template"] == "email_change"] == ["free@example.com"]


@only_sqlite
def test_the_new_address_is_in_no_row_that_erasing_the_user_does_not_find(
    as_anna: FlaskClient, service: Service, mails: Mails
) -> None:
    change_email(as_anna, "free@example.com")

    (mail,) = [mail for mail in mails() if mail["template"] == "email_change"]
    assert mail["email"] == mail["to"] == "free@example.com"
    with service.units.read() as uow:
        kept = uow.session.scalars(select(Notification).where(Notification.user_id.is_(None))).all()
    assert [each.variables for each in kept] == [{}]


@pytest.mark.parametrize("taken", [False, True])
def test_who_probes_addresses_by_changing_the_own_one_has_to_wait(
    as_anna: FlaskClient, new_user: Callable[..., User], *, taken: bool
) -> None:
    addresses = [f"user{number}@example.com" for number in range(MAILS_BY.free + 1)]
    for address in addresses if taken else ():
        new_user(address.partition("@")[0])

    answers = [change_email(as_anna, address) for address in addresses]

    assert [answer.status_code for answer in answers] == [202] * MAILS_BY.free + [429]
    assert code(answers[-1]) == (429, "too_many_attempts")


def test_several_who_name_one_address_as_their_new_one_do_not_flood_it(
    as_anna: FlaskClient, as_bert: FlaskClient, mails: Mails, clock: ManualClock
) -> None:
    answers = []
    for _ in range(10):
        answers += [change_email(client, "victim@example.com").status_code for client in (as_anna, as_bert)]
        clock.advance(SECOND / 100)

    assert answers == [202] * MAILS_TO.free + [429] * (20 - MAILS_TO.free)
    assert len([mail for mail in mails() if mail["to"] == "victim@example.com"]) == MAILS_TO.free


def test_more_invitations_to_one_address_have_to_wait_whoever_sends_them(
    as_anna: FlaskClient, as_bert: FlaskClient, mails: Mails
) -> None:
    answers = []
    for client in (as_anna, as_bert) * 5:
        (account, *_) = data(client.get(ACCOUNTS))
        answers.append(client.post(f"{ACCOUNTS}/{account['id']}/invitations", json={"email": "Victim@example.com"}))

    assert [answer.status_code for answer in answers] == [201] * MAILS_TO.free + [429] * 5
    assert code(answers[-1]) == (429, "too_many_attempts")
    assert len(mails()) == MAILS_TO.free


def test_one_address_is_not_flooded_with_resets_and_nobody_is_told(
    web: FlaskClient, anna: User, mails: Mails, clock: ManualClock
) -> None:
    answers = set()
    for email in (anna.email, "nobody@example.com"):
        for number in range(4 * 60):
            headers = {"X-Forwarded-For": f"198.51.{number // 50}.{number % 50}"}
            answer = web.post(f"{AUTH}/password-reset", json={"email": email}, headers=headers)
            answers.add((answer.status_code, answer.data))
            mails()
            clock.advance(MINUTE)

    assert len(answers) == 1
    assert len(mails()) < 40


def test_who_asks_for_resets_of_somebody_else_does_not_keep_them_from_their_own(
    web: FlaskClient, anna: User, mails: Mails, clock: ManualClock
) -> None:
    for _ in range(2 * 60):
        web.post(f"{AUTH}/password-reset", json={"email": anna.email})
        mails()
        clock.advance(MINUTE)

    newest = mails()[-1]["token"]
    assert web.post(f"{AUTH}/password-reset/confirm", json={"token": newest, "password": NEW}).status_code == 200


def notify(client: FlaskClient, user: User, template: str = "welcome") -> TestResponse:
    body = {"notification_type": "email", "user_id": str(user.id), "template_code": template}
    return client.post(NOTIFICATIONS, json=body)


@pytest.mark.parametrize("template", [*sorted(SYSTEM_TEMPLATES), " Password_Reset "])
@only_sqlite
def test_the_templates_of_the_system_are_for_the_system(
    as_anna: FlaskClient, anna: User, admin: FlaskClient, mails: Mails, template: str
) -> None:
    for client in (as_anna, admin):
        assert code(notify(client, anna, template)) == (403, "system_template")

    assert mails() == []


@only_sqlite
def test_outside_producers_do_not_use_the_templates_of_the_system_either(
    service: Service, anna: User, mails: Mails
) -> None:
    worker = service.make_worker()
    body = {"notification_type": "email", "user_id": str(anna.id), "template_code": "password_reset"}

    worker.foreign[0].handle([Delivery(1, "one", "notifications.direct", "email", "", json.dumps(body).encode())])

    assert mails() == []
    worker._parts.broker.close()


def test_who_notifies_oneself_again_and_again_has_to_wait(as_anna: FlaskClient, anna: User, mails: Mails) -> None:
    answers = [notify(as_anna, anna) for _ in range(NOTIFICATIONS_TO.free + 1)]

    assert [answer.status_code for answer in answers] == [202] * NOTIFICATIONS_TO.free + [429]
    assert len(mails()) == NOTIFICATIONS_TO.free


def test_managers_flood_nobody_but_reach_everybody(
    anna: User, bert: User, new_user: Callable[..., User], signed_in: Callable[..., FlaskClient]
) -> None:
    manager = signed_in(new_user("mona", Role.MANAGER).email)

    answers = [notify(manager, anna).status_code for _ in range(NOTIFICATIONS_TO.free + 1)]

    assert answers == [202] * NOTIFICATIONS_TO.free + [429]
    assert notify(manager, bert).status_code == 202
