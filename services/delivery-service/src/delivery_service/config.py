"""Settings of delivery-service, read from the environment once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from urllib.parse import urlsplit

from delivery_service.model.schedule import Schedule
from service_chassis.breaker import BreakerRules
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
    egress: "Egress"
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
            egress=Egress.read(reader),
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


@dataclass(frozen=True, slots=True)
class Egress:
    """How and where destinations are sent to."""

    allowed_networks: tuple[IPv4Network | IPv6Network, ...]
    ports: frozenset[int]
    https_only: bool
    timeout: timedelta
    """What one attempt may take in all."""
    in_flight: int
    breaker: BreakerRules

    @classmethod
    def read(cls, reader: Environment) -> "Egress":
        loopback = "127.0.0.0/8,::1/128" if reader.demo else ""
        return cls(
            allowed_networks=reader.trusted_networks("DELIVERY_ALLOWED_NETWORKS", default=loopback),
            ports=_ports(reader),
            https_only=reader.boolean("DELIVERY_HTTPS_ONLY", default=False),
            timeout=reader.seconds("DELIVERY_TIMEOUT_SECONDS", default=15, minimum=0.1),
            in_flight=reader.integer("DELIVERY_IN_FLIGHT", default=16, minimum=1, maximum=1_000),
            breaker=BreakerRules(
                reader.integer("DELIVERY_BREAKER_FAILURES", default=5, minimum=1),
                reader.seconds("DELIVERY_BREAKER_SECONDS", default=60, minimum=0.1),
            ),
        )


def _ports(reader: Environment) -> frozenset[int]:
    given = reader.text("DELIVERY_PORTS", default="80,443,8080,8443")
    words = [word.strip() for word in given.split(",")]
    if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= 65_535 for word in words):
        reader.problems.append(f"DELIVERY_PORTS must be numbers of ports like 80,443, not {given!r}.")
        return frozenset()
    return frozenset(map(int, words))


def _schedule(reader: Environment) -> tuple[timedelta, ...]:
    given = reader.text("DELIVERY_RETRY_SCHEDULE", default=RETRY_SCHEDULE)
    try:
        waits = Schedule.of_seconds([float(word) for word in given.split(",")]).delays
    except (ValueError, OverflowError):
        waits = ()
    if not waits:
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
