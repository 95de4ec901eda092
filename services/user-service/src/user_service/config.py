"""Settings of user-service, read from the environment once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from service_chassis.gateway_secret import gateway_secret
from service_chassis.runtime import Runtime
from service_chassis.settings import Environment
from user_service.model.one_time_token import OneTimeTokenLifetimes

NAME = "user-service"
DEMO_CLIENTS = {
    "cleanup-service": "demo-cleanup-service-client-secret",
    "task-service": "demo-task-service-client-secret",
}
LEAST_HASHING = 7_168 * 5
"""KiB of memory times passes over it: the least that OWASP holds to be enough for argon2id."""

OWN = ("STEWARD_", "JWT_ACCESS_", "JWT_REFRESH_", "JWT_KEY_", "PASSWORD_MIN", "PASSWORD_RESET_", "ARGON2_")
"""How the names of this service's settings begin, as far as nobody else's do."""


@dataclass(frozen=True, slots=True)
class Settings:
    runtime: Runtime
    demo: bool
    redis_url: str | None
    access_token_lifetime: timedelta
    refresh_token_lifetime: timedelta
    session_lifetime: timedelta
    opaque_token_lifetime: timedelta
    key_rotation: timedelta
    require_email_verification: bool
    one_time_tokens: OneTimeTokenLifetimes
    gateway_secret: str
    """What a request shows where it says from which client it comes."""
    key_encryption_secret: str
    notification_secret: str
    notification_prefetch: int
    service_clients: Mapping[str, str]
    """The secrets of the services that call this one, by their names."""
    password_minimum: int
    breached_passwords: Path | None
    argon2_memory_kib: int
    argon2_passes: int
    watermark_interval: timedelta
    unread: tuple[str, ...]

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises SettingsError with everything that is wrong."""
        reader = Environment(env)
        settings = cls(
            runtime=Runtime.read(reader, NAME, port=8001, pool=50),
            demo=reader.demo,
            redis_url=reader.optional("REDIS_URL"),
            access_token_lifetime=timedelta(minutes=reader.integer("JWT_ACCESS_TOKEN_LIFETIME", default=60, minimum=1)),
            refresh_token_lifetime=timedelta(
                minutes=reader.integer("JWT_REFRESH_TOKEN_LIFETIME", default=1440, minimum=1)
            ),
            session_lifetime=reader.days("SESSION_LIFETIME_DAYS", default=30, minimum=1),
            opaque_token_lifetime=reader.days("OPAQUE_TOKEN_LIFETIME_DAYS", default=365, minimum=1),
            key_rotation=reader.days("JWT_KEY_ROTATION_DAYS", default=90, minimum=1),
            require_email_verification=reader.boolean("REQUIRE_EMAIL_VERIFICATION", default=False),
            one_time_tokens=_one_time_tokens(reader),
            gateway_secret=gateway_secret(reader),
            key_encryption_secret=reader.secret("KEY_ENCRYPTION_SECRET", demo="demo-key-encryption-secret"),
            notification_secret=reader.secret("NOTIFICATION_SECRET", demo="demo-notification-secret"),
            notification_prefetch=reader.integer("NOTIFICATION_PREFETCH", default=1, minimum=1, maximum=500),
            service_clients=reader.secrets("SERVICE_CLIENTS", demo=DEMO_CLIENTS),
            password_minimum=reader.integer("PASSWORD_MINIMUM", default=6 if reader.demo else 8, minimum=1),
            breached_passwords=_path(reader.optional("BREACHED_PASSWORDS_FILE")),
            argon2_memory_kib=reader.integer("ARGON2_MEMORY_KIB", default=19_456, minimum=8),
            argon2_passes=reader.integer("ARGON2_PASSES", default=2, minimum=1),
            watermark_interval=reader.seconds("USER_WATERMARK_SECONDS", default=10, minimum=0.1),
            unread=reader.unread(*OWN),
        )
        weak = settings.password_minimum < 8
        reader.refuse_in_production("PASSWORD_MINIMUM", when=weak, because="passwords need at least 8 characters.")
        cheap = settings.argon2_memory_kib * settings.argon2_passes < LEAST_HASHING
        reader.refuse_in_production(
            "ARGON2_MEMORY_KIB", when=cheap, because="with ARGON2_PASSES it makes hashes that are cheap to guess."
        )
        reader.refuse_in_production(
            "REDIS_URL",
            when=settings.redis_url is None and settings.runtime.web_processes > 1,
            because="without it each of the WEB_PROCESSES goes on showing preferences that another one changed.",
        )
        reader.finish()
        return settings


def _one_time_tokens(reader: Environment) -> OneTimeTokenLifetimes:
    return OneTimeTokenLifetimes(
        verify_email=timedelta(hours=reader.integer("EMAIL_VERIFICATION_HOURS", default=48, minimum=1)),
        reset_password=timedelta(minutes=reader.integer("PASSWORD_RESET_MINUTES", default=60, minimum=1)),
        change_email=timedelta(hours=reader.integer("EMAIL_CHANGE_HOURS", default=24, minimum=1)),
    )


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)
