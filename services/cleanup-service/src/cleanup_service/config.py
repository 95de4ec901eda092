"""Settings of cleanup-service, read from the environment once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from cleanup_service.model.policy import Policy, SafetyBreaker
from service_chassis.runtime import Runtime
from service_chassis.settings import Environment

NAME = "cleanup-service"
MODES = ("deactivate",)
ROLES = ("admin", "manager", "user")


@dataclass(frozen=True, slots=True)
class Settings:
    runtime: Runtime
    user_service_url: str
    answers_secret: str
    policy: Policy
    cleanup_interval: timedelta
    unread: tuple[str, ...]

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises SettingsError with everything that is wrong."""
        reader = Environment(env)
        # What else becomes of inactive users is not there yet; a mode that is passed over would look as if it were.
        reader.choice("CLEANUP_MODE", MODES, default="deactivate")
        settings = cls(
            runtime=Runtime.read(reader, NAME, port=8003),
            user_service_url=reader.text("USER_SERVICE_URL", default="http://127.0.0.1:8001"),
            answers_secret=reader.secret("CLEANUP_SERVICE_SECRET", demo="demo-cleanup-service-secret"),
            policy=_policy(reader),
            cleanup_interval=reader.seconds("CLEANUP_INTERVAL_SECONDS", default=300, minimum=1),
            unread=reader.unread("STEWARD_", "CLEANUP_", "INACTIVITY_", of_others=("CLEANUP_SERVICE_",)),
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
