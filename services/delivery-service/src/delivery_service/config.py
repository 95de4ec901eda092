"""Settings of delivery-service, read from the environment once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from service_chassis.installation import data_folder
from service_chassis.runtime import Runtime
from service_chassis.settings import Environment

NAME = "delivery-service"
SCHEMES = ("smtp", "smtp+starttls", "smtps")
HERE = "http://localhost"
DEMO_SENDER = "Steward <steward@localhost>"
RETRY_SCHEDULE = "0,5,300,1800,7200,18000,36000,50400,72000,86400"


@dataclass(frozen=True, slots=True)
class Settings:
    runtime: Runtime
    demo: bool
    user_service_url: str
    answers_secret: str
    notification_secret: str
    """Shared with user-service, which seals with it what only a mail may tell."""
    retry_schedule: tuple[timedelta, ...]
    """How long each attempt waits after the one before it."""
    smtp_url: str | None
    """The server that takes mails; without one they become files."""
    smtp_timeout: timedelta
    mail_folder: Path
    mail_from: str
    public_url: str
    """Where people reach the gateway; links in mails begin with it."""
    unread: tuple[str, ...]

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises SettingsError with everything that is wrong."""
        reader = Environment(env)
        settings = cls(
            runtime=Runtime.read(reader, NAME, port=8004),
            demo=reader.demo,
            user_service_url=reader.text("USER_SERVICE_URL", default="http://127.0.0.1:8001"),
            answers_secret=reader.secret("DELIVERY_SERVICE_SECRET", demo="demo-delivery-service-secret"),
            notification_secret=reader.secret("NOTIFICATION_SECRET", demo="demo-notification-secret"),
            retry_schedule=_schedule(reader),
            smtp_url=_smtp_url(reader),
            smtp_timeout=reader.seconds("SMTP_TIMEOUT_SECONDS", default=10, minimum=0.1),
            mail_folder=data_folder(reader.text("STEWARD_DATA", default=".data")) / "mail",
            mail_from=reader.text("MAIL_FROM", default=DEMO_SENDER),
            public_url=reader.text("PUBLIC_URL", default=f"{HERE}:{_gateway_port(reader)}").rstrip("/"),
            unread=reader.unread("STEWARD_", "SMTP_", "MAIL_"),
        )
        settings._refuse_in_production(reader)
        reader.finish()
        return settings

    def _refuse_in_production(self, reader: Environment) -> None:
        refused = {
            "SMTP_URL": (self.smtp_url is None, "mails in files reach nobody."),
            "MAIL_FROM": (self.mail_from == DEMO_SENDER, "nobody can answer to it."),
            "PUBLIC_URL": (self.public_url.startswith(HERE), "links in mails would lead nowhere."),
        }
        for name, (when, because) in refused.items():
            reader.refuse_in_production(name, when=when, because=because)


def _schedule(reader: Environment) -> tuple[timedelta, ...]:
    given = reader.text("DELIVERY_RETRY_SCHEDULE", default=RETRY_SCHEDULE)
    try:
        waits = tuple(timedelta(seconds=float(word)) for word in given.split(","))
    except (ValueError, OverflowError):
        waits = ()
    if not waits or min(waits) < timedelta(0):
        reader.problems.append(f"DELIVERY_RETRY_SCHEDULE must be numbers of seconds like 0,5,300, not {given!r}.")
    return waits


def _gateway_port(reader: Environment) -> int:
    return reader.integer("GATEWAY_PORT", default=8000, minimum=1, maximum=65_535)


def _smtp_url(reader: Environment) -> str | None:
    given = reader.optional("SMTP_URL")
    if given is None or given == "file:":
        return None
    try:
        parts = urlsplit(given)
        usable = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        # The value may hold a password.
        reader.problems.append(f"SMTP_URL must be file: or begin with one of {', '.join(SCHEMES)}, and name a host.")
    return given
