"""Sealing: small values that only the holders of a secret can read, for what passes through rows and messages."""

from base64 import urlsafe_b64encode
from typing import Any

import msgspec
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Seal:
    """Encrypts values for one purpose; the seals of two purposes do not open each other's."""

    def __init__(self, secret: str, purpose: str) -> None:
        key = HKDF(hashes.SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())
        self._cipher = Fernet(urlsafe_b64encode(key))

    def close(self, value: Any) -> str:
        """Return a value of JSON, encrypted and authenticated."""
        return self._cipher.encrypt(msgspec.json.encode(value)).decode()

    def open(self, sealed: str) -> Any:
        """Return the value. Raises cryptography's InvalidToken when it was altered or sealed with another secret."""
        return msgspec.json.decode(self._cipher.decrypt(sealed.encode()))
