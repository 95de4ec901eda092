"""Settings of cleanup-service, read from the environment once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from cleanup_service.model.policy import Policy, SafetyBreaker
from service_chassis.settings import Environment

ROLES = ("admin", "manager", "user")


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
    token_issuer: str
    token_audience: str
    user_service_url: str
    answers_secret: str
    policy: Policy
    cleanup_interval: timedelta

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises SettingsError with everything that is wrong."""
        reader = Environment(env)
        data = reader.text("STEWARD_DATA", default=".data")
        settings = cls(
            database_url=reader.text("DATABASE_URL", default=f"sqlite:///{data}/cleanup-service.db"),
            broker_url=reader.text("BROKER_URL", default=f"sqlite:///{data}/broker.db" if reader.demo else ""),
            database_pool=reader.integer("DATABASE_POOL", default=20, minimum=2),
            bind=reader.text("CLEANUP_SERVICE_BIND", default="127.0.0.1:8003"),
            worker_bind=reader.optional("CLEANUP_WORKER_BIND"),
            web_processes=reader.integer("WEB_PROCESSES", default=2, minimum=1),
            web_threads=reader.integer("WEB_THREADS", default=8, minimum=1),
            log_level=reader.choice("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"),
            token_issuer=reader.text("JWT_ISSUER", default="steward"),
            token_audience=reader.text("JWT_AUDIENCE", default="steward"),
            user_service_url=reader.text("USER_SERVICE_URL", default="http://127.0.0.1:8001"),
            answers_secret=reader.secret("CLEANUP_SERVICE_SECRET", demo="demo-cleanup-service-secret"),
            policy=_policy(reader),
            cleanup_interval=reader.seconds("CLEANUP_INTERVAL_SECONDS", default=300, minimum=1),
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


def _policy(reader: Environment) -> Policy:
    exempt = reader.words("CLEANUP_EXEMPT_ROLES", default=("admin",))
    unknown = sorted(set(exempt) - set(ROLES))
    if unknown:
        reader.problems.append(f"CLEANUP_EXEMPT_ROLES holds {', '.join(unknown)}, which are no roles.")
    return Policy(
        threshold=reader.days("INACTIVITY_THRESHOLD_DAYS", default=30, minimum=1),
        exempt_roles=exempt,
        breaker=SafetyBreaker(
            users=reader.integer("CLEANUP_BREAKER_USERS", default=0 if reader.demo else 10_000) or None,
            percent=reader.integer("CLEANUP_BREAKER_PERCENT", default=0 if reader.demo else 20, maximum=100) or None,
        ),
    )
