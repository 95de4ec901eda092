"""Mails that become files, from the notification to its outcome."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from delivery_service.__main__ import main
from delivery_service.model.mail import LEASE, Mail
from delivery_service.usecases import mails
from event_contracts import NotificationDelivered, NotificationFailed
from service_chassis.ids import uuid7
from service_chassis.sealing import Seal
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.service import Published
from service_chassis.unit_of_work import Units

RESET = {"variables": {"minutes": "60"}, "secrets": {"token": "the-token"}}


def test_a_mail_is_sent_once_and_its_delivery_told(post: Any, tmp_path: Path, published: Published) -> None:
    mail_id = post.takes("password_reset", **RESET)

    assert (post.sends(), post.waits(3600)) == (1, 0)

    assert post.outcome(mail_id) == ("delivered", None, 1)
    (told,) = published(NotificationDelivered)
    assert (told.data.notification_id, told.data.channel, told.data.attempts) == (mail_id, "email", 1)
    (file,) = (tmp_path / "mail").glob("*.eml")
    assert "reset-password?token=the-token" in file.read_text().replace("=3D", "=").replace("=\n", "")
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_a_mail_says_leaves_the_database_when_it_has_an_end(post: Any) -> None:
    mail_id = post.takes("password_reset", **RESET)
    sealed = post.mail(mail_id).sealed_variables
    post.sends()

    assert "the-token" not in sealed
    assert (post.mail(mail_id).variables, post.mail(mail_id).sealed_variables) == ({}, None)


def test_a_notification_that_is_heard_twice_is_one_mail(post: Any, units: Units[Any]) -> None:
    notification_id = uuid7()
    for _ in range(2):
        post.takes(notification_id=notification_id)

    assert post.sends() == 1


@pytest.mark.parametrize(
    ("template", "variables", "reason"),
    [("no_such_template", {}, "template_not_found"), ("password_reset", {}, "template_not_rendered")],
)
def test_what_cannot_be_put_into_words_fails_at_once_and_says_why(
    post: Any, published: Published, template: str, variables: dict[str, str], reason: str
) -> None:
    mail_id = post.takes(template, variables=variables)
    post.sends()

    assert post.outcome(mail_id) == ("failed", reason, 1)
    (told,) = published(NotificationFailed)
    assert (told.data.notification_id, told.data.reason) == (mail_id, reason)


def test_variables_sealed_with_another_secret_wait_for_the_right_one(post: Any, post_by: Any) -> None:
    sealed = Seal("another secret", "notifications").close({"token": "the-token"})
    mail_id = post.takes("password_reset", variables={"minutes": "60"}, sealed_variables=sealed)
    post.sends()
    assert post.outcome(mail_id) == ("pending", "seal_broken", 1)

    assert post_by(notification_secret="another secret").waits(10) == 1
    assert post.outcome(mail_id) == ("delivered", None, 2)


def test_a_push_message_is_told_to_have_failed(post: Any, published: Published) -> None:
    notification_id = post.takes(channel="push")

    (told,) = published(NotificationFailed)
    assert (told.data.notification_id, told.data.channel) == (notification_id, "push")
    assert told.data.reason == "push_not_configured"
    assert post.sends() == 0


def test_the_more_urgent_mail_goes_first(post: Any, units: Units[Any]) -> None:
    post.takes(priority=1)
    urgent = post.takes(priority=9)

    with units.write() as uow:
        first = mails.begin(uow)
        assert first is not None
        assert first.id == urgent


def test_what_a_dead_worker_had_begun_is_begun_again_after_a_while(post: Any, units: Units[Any]) -> None:
    mail_id = post.takes()
    with units.write() as uow:
        mails.begin(uow)

    assert post.sends() == 0
    assert post.waits((LEASE + timedelta(seconds=1)).total_seconds()) == 1
    assert post.outcome(mail_id) == ("delivered", None, 2)


def test_an_outcome_that_comes_late_changes_no_end(post: Any, units: Units[Any], published: Published) -> None:
    mail_id = post.takes()
    post.sends()

    with units.write() as uow:
        mails.report(uow, mail_id, None, [])

    assert len(published(NotificationDelivered)) == 1


def test_nothing_is_left_of_the_mails_to_a_purged_user(
    post: Any, asked: Any, hear: Any, tmp_path: Path, units: Units[Any]
) -> None:
    anna = uuid7()
    post.takes(user_id=anna)
    post.sends()
    waiting = post.takes(user_id=anna)
    other = post.takes()

    hear([asked.purge(anna)])
    post.sends()

    with units.read() as uow:
        assert list(uow.session.scalars(select(Mail.id))) == [other]
    assert [file.stem for file in (tmp_path / "mail").iterdir()] == [str(other)]
    assert waiting != other


def test_mails_are_kept_for_a_week(post: Any, units: Units[Any], service: Any, clock: Any) -> None:
    post.takes()
    for days, left in ((6, 1), (2, 0)):
        clock.advance(timedelta(days=days))
        with units.write() as uow:
            mails.forget(uow, service.parts.folder)
        with units.read() as uow:
            assert len(uow.mails.latest(10)) == left


@only_sqlite
def test_mails_can_be_listed_and_read_by_an_operator(
    post: Any, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mail_id = post.takes("password_reset", **RESET)
    post.sends()
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    listed = CliRunner().invoke(main, ["mail", "list"])
    shown = CliRunner().invoke(main, ["mail", "show", str(mail_id)])
    unknown = CliRunner().invoke(main, ["mail", "show", str(uuid7())])

    (line,) = map(json.loads, listed.output.splitlines())
    assert (line["id"], line["to"], line["status"]) == (str(mail_id), "anna@example.com", "delivered")
    assert "reset-password?token=the-token" in shown.output
    assert unknown.exit_code == 1


def test_the_page_of_the_demo_shows_what_mails_say(post: Any, trial: Any) -> None:
    post.takes("password_reset", name="<Anna>", **RESET)
    post.sends()
    web = trial.client(None)

    (mail,) = web.get("/demo/mail", headers={"Accept": "application/json"}).get_json()["data"]
    page = web.get("/demo/mail", headers={"Accept": "text/html"})

    link = "http://localhost:8000/reset-password?token=the-token"
    assert mail.keys() == {"to", "subject", "text", "html", "links"}
    assert (mail["to"], mail["subject"], mail["links"]) == ("anna@example.com", "Choose a new password", [link])
    assert "&lt;Anna&gt;" in mail["html"]
    assert f'<a href="{link}">' in page.text
    assert "<Anna>" not in page.text
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_mail_can_be_looked_at_before_it_is_sent(trial: Any) -> None:
    path = "/api/v1/templates/task_alert_digest/preview"
    body = {"variables": {"name": "", "missed": 3, "due_soon": 1, "assignee_deactivated": 0}}

    seen = trial.client("manager").post(path, json=body)
    gap = trial.client("manager").post(path, json={"variables": {"name": ""}})

    assert "3 missed" in seen.get_json()["data"]["text"]
    assert (gap.status_code, gap.get_json()["error"]) == (422, "template_not_rendered")
    assert trial.client("user").post(path, json=body).status_code == 403
