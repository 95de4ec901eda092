"""What both sides of a call have to know, where one setting serves both."""

import secrets
from collections.abc import Mapping


def with_service_clients(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which user-service knows the secrets of those who call it, too."""
    secret = env.get("TASK_SERVICE_CLIENT_SECRET")
    if not secret or env.get("SERVICE_CLIENTS"):
        return dict(env)
    return {**env, "SERVICE_CLIENTS": f"task-service:{secret}"}


def with_gateway_secret(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which no other program of this machine can speak for the gateway."""
    return {**env, "GATEWAY_SECRET": env.get("GATEWAY_SECRET") or secrets.token_urlsafe(32)}
