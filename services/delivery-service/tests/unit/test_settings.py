from datetime import timedelta

import pytest

from delivery_service.config import Settings
from service_chassis.settings import SettingsError

PRODUCTION = {
    "STEWARD_PROFILE": "production",
    "DATABASE_URL": "postgresql://delivery_service:secret@database/steward",
    "DELIVERY_SERVICE_SECRET": "a long secret of this installation only",
    "NOTIFICATION_SECRET": "a long secret that user-service shares",
    "SMTP_URL": "smtps://steward:secret@mail.example:465",
    "MAIL_FROM": "Steward <steward@example.com>",
    "PUBLIC_URL": "https://steward.example.com/",
}


def test_production_needs_a_mail_server_a_sender_and_an_address() -> None:
    assert Settings.read(PRODUCTION).public_url == "https://steward.example.com"


@pytest.mark.parametrize("name", ["SMTP_URL", "MAIL_FROM", "PUBLIC_URL", "NOTIFICATION_SECRET"])
def test_production_refuses_to_start_without(name: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.read(PRODUCTION | {name: ""})

    (told,) = raised.value.problems
    assert told.startswith(name)


@pytest.mark.parametrize("url", ["", "file:"])
def test_without_a_server_mails_are_files(url: str) -> None:
    assert Settings.read({"SMTP_URL": url}).smtp_url is None


@pytest.mark.parametrize("url", ["http://mail.example", "smtp://", "mail.example:25", "smtp://mail.example:x"])
def test_what_is_no_mail_server_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(SettingsError, match="SMTP_URL must be") as raised:
        Settings.read({"SMTP_URL": url})
    assert url not in str(raised.value)


@pytest.mark.parametrize("schedule", ["soon", "0,-5", "0,,5", "nan"])
def test_a_schedule_is_made_of_seconds(schedule: str) -> None:
    with pytest.raises(SettingsError, match="DELIVERY_RETRY_SCHEDULE must be"):
        Settings.read({"DELIVERY_RETRY_SCHEDULE": schedule})


def test_the_schedule_is_that_of_the_standard_unless_it_is_set() -> None:
    assert sum(Settings.read({}).retry_schedule, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    assert Settings.read({"DELIVERY_RETRY_SCHEDULE": "0, 1"}).retry_schedule == (timedelta(0), timedelta(seconds=1))


def test_links_lead_to_the_port_of_the_gateway() -> None:
    assert Settings.read({"GATEWAY_PORT": "9000"}).public_url == "http://localhost:9000"
