"""E-mail addresses: one mailbox has one spelling, so that it is one user."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from user_service.model.errors import InvalidEmail

EMAIL_LIMIT = 254
IDEOGRAPHIC_FULL_STOP = "\u3002"
"""Another character that separates the labels of a domain, RFC 3490."""


def normalised_email(email: str) -> str:
    """Return the one spelling under which an address is kept and looked up: small letters, domains as people read them.

    What is an address, and which domains are the same, says the library `email-validator` (RFC 5321, IDNA 2008).
    Raises InvalidEmail.
    """
    plain = plain_email(email)
    if _looks_like_another(plain):
        raise InvalidEmail
    try:
        normalised = validate_email(plain, check_deliverability=False, strict=True).normalized
    except EmailNotValidError as error:
        raise InvalidEmail from error
    if len(normalised) > EMAIL_LIMIT:
        raise InvalidEmail
    return normalised


def plain_email(email: str) -> str:
    """Return an address as releases before kept it, whatever it is: some of theirs could not be brought further."""
    return unicodedata.normalize("NFC", email.strip().lower())


def _looks_like_another(email: str) -> bool:
    """Return whether unseen characters, or other forms of plain ones, make an address look like somebody else's."""
    if email.isascii():
        return False
    unseen = any(unicodedata.category(character) == "Cf" for character in email)
    return unseen or IDEOGRAPHIC_FULL_STOP in email or unicodedata.normalize("NFKC", email) != email
