"""Where a request comes from, and the devices a user has signed in from before.

A device keeps a token that proves it: failures of others then do not keep its user from signing in there. With the
password the tokens of all devices end.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

REMEMBERED = timedelta(days=180)
"""How long a device is known after the last sign-in from it."""
ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from, as far as that is known."""

    address: str | None = None
    user_agent: str | None = None
    device_token: str | None = None


ANYWHERE = Client()


@dataclass(frozen=True, slots=True)
class Devices:
    """Makes and recognises the tokens of devices; nothing is stored."""

    key: bytes

    def issue(self, user_id: UUID, *, at: datetime, generation: int = 0) -> str:
        """Return a new token for a device of a user, which is good until the user's devices get another generation."""
        body = secrets.token_bytes(ID_BYTES) + int((at + REMEMBERED).timestamp()).to_bytes(8, "big")
        return urlsafe_b64encode(body + self._mac(user_id, generation, body)).decode()

    def recognise(self, token: str | None, user_id: UUID, *, at: datetime, generation: int = 0) -> str | None:
        """Return the id of the device if the token is one of this user's devices, and not too old."""
        try:
            raw = urlsafe_b64decode(token or "")
        except ValueError:
            return None
        body, mac = raw[: ID_BYTES + 8], raw[ID_BYTES + 8 :]
        genuine = hmac.compare_digest(mac, self._mac(user_id, generation, body))
        return body[:ID_BYTES].hex() if genuine and at.timestamp() < int.from_bytes(body[ID_BYTES:], "big") else None

    def _mac(self, user_id: UUID, generation: int, body: bytes) -> bytes:
        return hmac.digest(self.key, user_id.bytes + generation.to_bytes(8, "big") + body, hashlib.sha256)
