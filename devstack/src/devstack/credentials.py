"""What both sides of a call have to know, where one setting serves both."""

import secrets
from collections.abc import Mapping

from user_service.config import DEMO_CLIENTS


def with_service_clients(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which user-service knows the secrets of those who call it, too."""
    given = {name: secret for name in DEMO_CLIENTS if (secret := env.get(_setting(name)))}
    if not given or env.get("SERVICE_CLIENTS"):
        return dict(env)
    return {**env, "SERVICE_CLIENTS": ",".join(f"{name}:{secret}" for name, secret in (DEMO_CLIENTS | given).items())}


def with_gateway_secret(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which no other program of this machine can speak for the gateway."""
    return {**env, "GATEWAY_SECRET": env.get("GATEWAY_SECRET") or secrets.token_urlsafe(32)}


def _setting(client: str) -> str:
    return f"{client.upper().replace('-', '_')}_CLIENT_SECRET"
