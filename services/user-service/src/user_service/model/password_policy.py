"""Which passwords are good enough. Length counts and being hard to guess does; kinds of characters do not."""

import unicodedata
from collections.abc import Container
from dataclasses import dataclass

from user_service.model.common_passwords import is_common
from user_service.model.errors import WeakPassword

SHORTEST_HINT = 4
"""Parts of an e-mail address shorter than this are in too many good passwords."""


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    minimum: int
    refuses_common: bool
    breached: Container[str] = ()
    """Passwords that were seen in breaches."""

    def check(self, password: str, email: str) -> None:
        """Raise WeakPassword for a password that is too short, known from a breach or among the first to be tried."""
        if len(normalised(password)) < self.minimum:
            raise _weak(f"A password has at least {self.minimum} characters.", "Too short.")
        if normalised(password) in self.breached:
            raise _weak("This password was seen in a breach of another site.", "Seen in a breach.")
        if not self.refuses_common:
            return
        if is_common(normalised(password)):
            raise _weak("This password is one of those that are tried first.", "Too common.")
        if _is_like(normalised(password), email):
            raise _weak("This password is too much like the e-mail address.", "Like the e-mail address.")


def normalised(password: str) -> str:
    """Return the one form of a password, because keyboards write the same characters in several."""
    return unicodedata.normalize("NFC", password)


def _is_like(password: str, email: str) -> bool:
    folded, address = password.casefold(), email.strip().casefold()
    name, _, domain = address.partition("@")
    hints = {hint for hint in (name, domain.partition(".")[0]) if len(hint) >= SHORTEST_HINT}
    return folded in address or any(hint in folded for hint in hints)


def _weak(message: str, field: str) -> WeakPassword:
    return WeakPassword(message, fields={"password": [field]})
