"""Settings of user-service, read from the environment once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from service_chassis.settings import Environment

LEAST_HASHING = 7_168 * 5
"""KiB of memory times passes over it: the least that OWASP holds to be enough for argon2id."""


@dataclass(frozen=True, slots=True)
class Settings:
    database_url: str
    broker_url: str
    database_pool: int
    bind: str
    worker_bind: str | None
    web_processes: int
    web_threads: int
    log_level: str
    demo: bool
    token_issuer: str
    token_audience: str
    access_token_lifetime: timedelta
    refresh_token_lifetime: timedelta
    key_encryption_secret: str
    password_minimum: int
    argon2_memory_kib: int
    argon2_passes: int
    watermark_interval: timedelta

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises SettingsError with everything that is wrong."""
        reader = Environment(env)
        data = reader.text("STEWARD_DATA", default=".data")
        settings = cls(
            database_url=reader.text("DATABASE_URL", default=f"sqlite:///{data}/user-service.db"),
            broker_url=reader.text("BROKER_URL", default=f"sqlite:///{data}/broker.db" if reader.demo else ""),
            database_pool=reader.integer("DATABASE_POOL", default=50, minimum=2),
            bind=reader.text(
                "USER_SERVICE_BIND", default="0.0.0.0:8001"
            ),  # In a container the outside decides who reaches it.
            worker_bind=reader.optional("USER_WORKER_BIND"),
            web_processes=reader.integer("WEB_PROCESSES", default=2, minimum=1),
            web_threads=reader.integer("WEB_THREADS", default=8, minimum=1),
            log_level=reader.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"),
            demo=reader.demo,
            token_issuer=reader.text("JWT_ISSUER", default="steward"),
            token_audience=reader.text("JWT_AUDIENCE", default="steward"),
            access_token_lifetime=timedelta(minutes=reader.integer("JWT_ACCESS_TOKEN_LIFETIME", default=60, minimum=1)),
            refresh_token_lifetime=timedelta(
                minutes=reader.integer("JWT_REFRESH_TOKEN_LIFETIME", default=1440, minimum=1)
            ),
            key_encryption_secret=reader.secret("KEY_ENCRYPTION_SECRET", demo="demo-key-encryption-secret"),
            password_minimum=reader.integer("PASSWORD_MINIMUM", default=6 if reader.demo else 8, minimum=1),
            argon2_memory_kib=reader.integer("ARGON2_MEMORY_KIB", default=19_456, minimum=8),
            argon2_passes=reader.integer("ARGON2_PASSES", default=2, minimum=1),
            watermark_interval=reader.seconds("USER_WATERMARK_SECONDS", default=2 if reader.demo else 10, minimum=0.1),
        )
        weak = settings.password_minimum < 8
        reader.refuse_in_production("PASSWORD_MINIMUM", when=weak, because="passwords need at least 8 characters.")
        cheap = settings.argon2_memory_kib * settings.argon2_passes < LEAST_HASHING
        reader.refuse_in_production(
            "ARGON2_MEMORY_KIB", when=cheap, because="with ARGON2_PASSES it makes hashes that are cheap to guess."
        )
        reader.refuse_in_production(
            "DATABASE_URL", when=settings.database_url.startswith("sqlite"), because="replicas need a shared database."
        )
        reader.refuse_in_production(
            "BROKER_URL",
            when=settings.broker_url.startswith("sqlite") or "guest:guest@" in settings.broker_url,
            because="it needs a broker, and a password that not everybody knows.",
        )
        reader.finish()
        return settings
