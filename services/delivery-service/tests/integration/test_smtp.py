"""Mails to a real server that may refuse, be slow, or hang up; every mail arrives once, or its status says why not."""

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from event_contracts import NotificationDelivered, NotificationFailed
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.servers.process import free_port
from service_chassis.testing.service import Published

pytestmark = only_sqlite


class Office:
    """A mail server: what it answers to each mail comes from a list, and is 250 at its end."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.peers: list[Any] = []
        self.rcpt: list[str] = []
        self.data: list[str] = []
        self.hang_up = 0

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: Any
    ) -> str:
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.hang_up:
            self.hang_up -= 1
            server.transport.abort()
            return "451 Gone"
        if self.data:
            return self.data.pop(0)
        self.mails.append(envelope)
        self.peers.append(session.peer)
        return "250 OK"


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def serve(office: Office) -> Iterator[Callable[..., str]]:
    """Starts the server, and returns where it is."""
    running: list[Controller] = []

    def serve(**options: Any) -> str:
        controller = Controller(office, hostname="127.0.0.1", port=free_port(), **options)
        controller.start()
        running.append(controller)
        return f"127.0.0.1:{controller.port}"

    yield serve
    for controller in running:
        controller.stop()


@pytest.fixture
def smtp(serve: Callable[..., str], post_by: Callable[..., Any]) -> Any:
    return post_by(smtp_url=f"smtp://{serve()}", mail_from="Steward <post@steward.example>")


def test_a_mail_carries_what_mail_programs_look_for(smtp: Any, office: Office) -> None:
    mail_id = smtp.takes("password_changed", name="Zoë Über")
    smtp.takes("task_alert_digest", variables={"missed": 3, "due_soon": 1, "assignee_deactivated": 0})
    smtp.sends()

    own, digest = (message_from_bytes(mail.content, policy=policy.default) for mail in office.mails)
    assert (own["From"], own["To"].addresses[0].display_name) == ("Steward <post@steward.example>", "Zoë Über")
    assert own["Message-ID"] == f"<{mail_id}@steward.example>"
    assert own["Auto-Submitted"] == "auto-generated"
    assert own["Date"] is not None
    assert [part.get_content_type() for part in own.iter_parts()] == ["text/plain", "text/html"]
    assert (own["List-Unsubscribe"], digest["List-Unsubscribe"]) == (None, "<http://localhost:8000/preferences>")


def test_a_greylisted_mail_arrives_once_at_the_next_attempt(smtp: Any, office: Office, published: Published) -> None:
    office.rcpt = ["451 4.7.1 Try again later"]
    mail_id = smtp.takes()

    smtp.sends()
    assert smtp.outcome(mail_id) == ("pending", "mail_postponed", 1)
    assert smtp.mail(mail_id).answer == "451 4.7.1 Try again later"
    assert smtp.waits(3) == 0
    assert smtp.waits(4) == 1

    assert smtp.outcome(mail_id) == ("delivered", None, 2)
    assert len(office.mails) == 1
    assert len(published(NotificationDelivered)) == 1


@pytest.mark.parametrize("step", ["rcpt", "data"])
def test_a_mail_that_is_refused_for_good_fails_and_keeps_the_answer(
    smtp: Any, office: Office, published: Published, step: str
) -> None:
    setattr(office, step, ["550 5.1.1 No such user"])
    mail_id, other = smtp.takes(), smtp.takes()

    assert smtp.sends() == 2

    ends = {smtp.outcome(mail)[:2] for mail in (mail_id, other)}
    assert ends == {("failed", "mail_refused"), ("delivered", None)}
    (told,) = published(NotificationFailed)
    assert told.data.reason == "mail_refused"
    assert len(office.mails) == 1


def test_a_server_that_hangs_up_in_the_middle_of_a_mail_gets_it_again(smtp: Any, office: Office) -> None:
    office.hang_up = 1
    mail_id = smtp.takes()

    smtp.sends()
    assert smtp.outcome(mail_id) == ("pending", "mail_postponed", 1)
    smtp.waits(10)

    assert smtp.outcome(mail_id) == ("delivered", None, 2)
    assert len(office.mails) == 1


def test_a_server_that_says_nothing_is_not_waited_for(post_by: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        post = post_by(smtp_url=f"smtp://127.0.0.1:{silent.getsockname()[1]}", smtp_timeout=timedelta(seconds=0.2))
        mail_id = post.takes()
        post.sends()

    assert post.outcome(mail_id) == ("pending", "mail_postponed", 1)


def test_where_nobody_listens_mails_are_tried_as_the_schedule_says_and_then_fail(
    post_by: Callable[..., Any], published: Published
) -> None:
    waits = (0, 5, 60)
    post = post_by(
        smtp_url=f"smtp://127.0.0.1:{free_port()}", retry_schedule=tuple(timedelta(seconds=each) for each in waits)
    )
    mail_id = post.takes()

    assert [post.sends(), post.waits(3.9), post.waits(2.2), post.waits(47), post.waits(26), post.waits(1e6)] == [
        1,
        0,
        1,
        0,
        1,
        0,
    ]

    assert post.outcome(mail_id) == ("failed", "mail_postponed", 3)
    (told,) = published(NotificationFailed)
    assert told.data.attempts == 3


def test_mails_that_are_due_together_share_a_connection(smtp: Any, office: Office) -> None:
    for _ in range(5):
        smtp.takes()
    smtp.sends()

    assert len(office.mails) == 5
    assert len(set(office.peers)) == 1


def test_a_password_never_leaves_without_tls(serve: Callable[..., str], post_by: Callable[..., Any]) -> None:
    seen: list[Any] = []

    def authenticator(*arguments: Any) -> AuthResult:
        seen.append(arguments)
        return AuthResult(success=True)

    where = serve(authenticator=authenticator, auth_require_tls=False)
    post = post_by(smtp_url=f"smtp://anna:secret@{where}")
    mail_id = post.takes()
    post.sends()

    assert seen == []
    assert post.outcome(mail_id) == ("pending", "mail_postponed", 1)


def test_starttls_that_is_insisted_on_and_not_offered_sends_nothing(
    serve: Callable[..., str], post_by: Callable[..., Any], office: Office
) -> None:
    post = post_by(smtp_url=f"smtp+starttls://{serve()}")
    mail_id = post.takes()
    post.sends()

    assert office.mails == []
    assert post.outcome(mail_id) == ("pending", "mail_postponed", 1)
