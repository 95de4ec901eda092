"""Settings of task-service, read from the environment once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from service_chassis.runtime import Runtime
from service_chassis.settings import Environment
from task_service.model.rules import MissRules

NAME = "task-service"


@dataclass(frozen=True, slots=True)
class Settings:
    runtime: Runtime
    user_service_url: str
    client_secret: str
    """With which this service calls user-service."""
    answers_secret: str
    rules: MissRules
    sweep_interval: timedelta
    unread: tuple[str, ...]

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings. Raises SettingsError with everything that is wrong."""
        reader = Environment(env)
        interval = 60 if reader.demo else 3600
        settings = cls(
            runtime=Runtime.read(reader, NAME, port=8002),
            user_service_url=reader.text("USER_SERVICE_URL", default="http://127.0.0.1:8001"),
            client_secret=reader.secret("TASK_SERVICE_CLIENT_SECRET", demo="demo-task-service-client-secret"),
            answers_secret=reader.secret("TASK_SERVICE_SECRET", demo="demo-task-service-secret"),
            rules=_rules(reader),
            sweep_interval=reader.seconds("MISSED_TASK_INTERVAL_SECONDS", default=interval, minimum=1),
            unread=reader.unread("STEWARD_", "TASK_ALERT_", "TASK_DUE_", "MISSED_TASK_"),
        )
        reader.finish()
        return settings


def _rules(reader: Environment) -> MissRules:
    return MissRules(
        limit=reader.integer("MISSED_TASK_LIMIT", default=5, minimum=1, maximum=1_000),
        window=reader.days("MISSED_TASK_WINDOW_DAYS", default=7, minimum=1),
        due_soon=reader.seconds("TASK_DUE_SOON_SECONDS", default=86_400),
        sweep_cap=reader.integer("MISSED_TASK_SWEEP_CAP", default=0 if reader.demo else 100) or None,
        manager_cap=reader.integer("MISSED_TASK_MANAGER_CAP", default=0 if reader.demo else 5) or None,
        digest_over=reader.integer("TASK_ALERT_DIGEST_OVER", default=10),
    )
