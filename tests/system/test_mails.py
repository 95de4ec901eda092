"""Somebody who has forgotten a password gets back in with nothing but the mail."""

from email import message_from_bytes, policy
from typing import Any
from urllib.parse import parse_qs, urlsplit

from service_chassis.testing.waiting import wait_until
from tests.running.embedded import Embedded
from tests.running.people import PASSWORD, person
from tests.running.steward import DELIVERY, Steward

NEW = "another correct horse"
ARRIVES_WITHIN = 20.0


def test_a_newcomer_resets_a_password_by_the_mail(system: Steward) -> None:
    email = forgetful(system)

    link = wait_until(lambda: mail_to(system, email), ARRIVES_WITHIN)["links"][0]
    token = parse_qs(urlsplit(link).query)["token"][0]
    done = system.door.post("/api/v1/auth/password-reset/confirm", {"token": token, "password": NEW})

    assert done.status == 200
    assert system.sign_in(email, NEW).get("/api/v1/users/profile").data["email"] == email
    assert system.door.post("/api/v1/auth/login", {"email": email, "password": PASSWORD}).status == 401


def test_the_mail_is_a_file_whose_notification_is_sent(shared_embedded: Embedded) -> None:
    email = forgetful(shared_embedded)
    wait_until(lambda: mail_to(shared_embedded, email), ARRIVES_WITHIN)

    files = (shared_embedded._data / "mail").glob("*.eml")
    mails = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
    (reset,) = [mail for mail in mails if mail["To"] == email and mail["Subject"] == "Choose a new password"]
    notification = reset["Message-ID"].removeprefix("<").partition("@")[0]
    path = f"/api/v1/notifications/{notification}"
    wait_until(lambda: shared_embedded.admin.get(path).data["status"] == "sent", ARRIVES_WITHIN)
    shown = shared_embedded.run_command(DELIVERY, "mail", "show", notification)
    assert "reset-password?token=" in shown.stdout


def forgetful(system: Steward) -> str:
    """Register somebody, who has forgotten the password at once; return the address."""
    email = person("anna", days_away=0).email
    assert system.door.post("/api/v1/users", {"email": email, "password": PASSWORD}).status == 201
    assert system.door.post("/api/v1/auth/password-reset", {"email": email}).status in {200, 202}
    return email


def mail_to(system: Steward, email: str) -> dict[str, Any] | None:
    mails = system.door.get("/demo/mail").data
    found = [mail for mail in mails if mail["to"] == email and mail["subject"] == "Choose a new password"]
    return found[0] if found else None
