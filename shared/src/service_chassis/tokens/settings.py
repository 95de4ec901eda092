"""The setting that tells how tokens are signed, read alike by who signs and by who verifies."""

from service_chassis.settings import Environment
from service_chassis.tokens.keys import SHORTEST_SECRET

SHARED_ALGORITHM = "HS256"
"""The one algorithm whose key is a secret that verifiers have, too."""
DEMO_SECRET = "demo-jwt-secret-that-everybody-knows"  # noqa: S105  # Production refuses it.


def shared_secret(reader: Environment, algorithm: str) -> str | None:
    """Return the secret that goes with the algorithm, if it is one with a secret."""
    if algorithm != SHARED_ALGORITHM:
        return None
    secret = reader.secret("JWT_SECRET", demo=DEMO_SECRET)
    if reader.demo and len(secret.encode()) < SHORTEST_SECRET:
        reader.problems.append(f"JWT_SECRET needs at least {SHORTEST_SECRET} bytes with {SHARED_ALGORITHM}.")
    return secret
