"""The secret by which a service tells that a request came through the gateway, and may believe its headers."""

import hmac

from service_chassis.settings import Environment

HEADER = "X-Gateway-Secret"
DEMO_SECRET = "demo-gateway-secret"  # noqa: S105  # Production refuses it.


def gateway_secret(reader: Environment) -> str:
    """Return what gateway and services share: without it, whoever reaches a service's port could speak for others."""
    return reader.secret("GATEWAY_SECRET", demo=DEMO_SECRET)


def is_gateways(shown: str | None, secret: str) -> bool:
    """Say whether a request that shows this came through the gateway."""
    return shown is not None and hmac.compare_digest(shown.encode(errors="surrogateescape"), secret.encode())
