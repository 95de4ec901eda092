"""Signatures by Standard Webhooks: a receiver knows who sends and that nothing was altered."""

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from standardwebhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = 32
OVERLAP = timedelta(hours=24)
"""How long the secret before the present one signs, too, so that receivers can change over."""


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret of a destination, and the one it had until a short while ago."""

    current: str
    previous: str | None = None
    previous_until: datetime | None = None

    def rotated(self, at: datetime) -> "Secrets":
        """Return the secrets after a rotation; of two within the overlap, the oldest secret ends with the second."""
        return Secrets(new_secret(), self.current, at + OVERLAP)

    def signing(self, at: datetime) -> tuple[str, ...]:
        """Return the secrets that sign at an instant, the present one first."""
        if self.previous is None or self.previous_until is None or at >= self.previous_until:
            return (self.current,)
        return (self.current, self.previous)


def signed(message_id: str, content: str, signing: Iterable[str], *, at: datetime) -> dict[str, str]:
    """Return the headers that sign content, once with each secret."""
    signatures = [Webhook(secret).sign(message_id, at, content) for secret in signing]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
