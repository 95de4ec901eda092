"""What both sides of a call have to know, where one setting serves both."""

from collections.abc import Mapping


def with_service_clients(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which user-service knows the secrets of those who call it, too."""
    secret = env.get("TASK_SERVICE_CLIENT_SECRET")
    if not secret or env.get("SERVICE_CLIENTS"):
        return dict(env)
    return {**env, "SERVICE_CLIENTS": f"task-service:{secret}"}
