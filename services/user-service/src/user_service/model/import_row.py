"""A row of an import file, checked: either the values of a user or the reason why it cannot be one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service_chassis.ids import uuid7
from user_service.model.email import normalised_email
from user_service.model.errors import InvalidEmail, InvalidUsername
from user_service.model.passwords import is_known_hash
from user_service.model.user import NAME_LIMIT, Role, Status, is_line, normalised_username

SECRET = "password_hash"  # noqa: S105  # The name of a column.
COLUMNS = ("email", "username", "name", "role", "created_at", "last_login_at", "is_active", SECRET)
TRUE = {"", "1", "true", "t", "yes", "y"}
FALSE = {"0", "false", "f", "no", "n"}


class Rejected(Exception):
    """This row cannot become a user; the text says why."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each known column stands in the file; columns of other names are passed over."""

    width: int
    position: Mapping[str, int]
    shown: frozenset[int]
    """The columns that certainly hold no hash of a password, because we know them or there is no other."""

    @classmethod
    def of(cls, header: Sequence[str]) -> "Layout":
        """Read the header. Raises Rejected when the one column every user needs is missing."""
        names = [name.strip().lower() for name in header]
        if "email" not in names:
            raise Rejected("The file has no column email.")
        position = {name: names.index(name) for name in COLUMNS if name in names}
        return cls(len(names), position, frozenset(place for name, place in position.items() if name != SECRET))

    @property
    def hides_nothing(self) -> bool:
        return len(self.shown) == self.width

    def values(self, row: Sequence[str]) -> dict[str, str]:
        """Return the known values of a row by name. Raises Rejected."""
        if len(row) != self.width:
            raise Rejected(f"It has {len(row)} columns, the header {self.width}.")
        if any("\udc80" <= character <= "\udcff" for value in row for character in value):
            raise Rejected("It is not valid UTF-8.")
        if any("\x00" in value for value in row):
            raise Rejected("It holds a NUL character.")
        return {name: row[position].strip() for name, position in self.position.items()}


def user_row(values: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Return the columns of a new user. Raises Rejected."""
    registered_at = _instant(values, "created_at", now) or now
    last_login_at = _instant(values, "last_login_at", now)
    active = _active(values.get("is_active", ""))
    return {
        "id": uuid7(),
        "email": _email(values.get("email", "")),
        "username": _username(values.get("username", "")),
        "name": _name(values.get("name", "")),
        "role": _role(values.get("role", "")),
        "status": (Status.ACTIVE if active else Status.DEACTIVATED).value,
        "password_hash": _hash(values.get("password_hash", "")),
        "registered_at": registered_at,
        "last_login_at": last_login_at,
        "last_activity_at": max(registered_at, last_login_at or registered_at),
        "reactivated_at": None,
        "deactivated_at": None if active else now,
        "deactivation_reason": None,
        "deactivated_by_run": None,
        "email_verified_at": registered_at,
        "version": 1,
    }


def _email(value: str) -> str:
    if not value:
        raise Rejected("It has no e-mail address.")
    try:
        return normalised_email(value)
    except InvalidEmail:
        raise Rejected(f"{value[:80]!r} is no e-mail address.") from None


def _username(value: str) -> str | None:
    try:
        return normalised_username(value) if value else None
    except InvalidUsername:
        raise Rejected(f"{value[:80]!r} is no username.") from None


def _name(value: str) -> str:
    # A cell of a spreadsheet may have several lines; a name has one.
    value = " ".join(value.splitlines())
    if len(value) > NAME_LIMIT:
        raise Rejected(f"The name is longer than {NAME_LIMIT} characters.")
    if not is_line(value):
        raise Rejected("The name holds control characters.")
    return value


def _role(value: str) -> str:
    try:
        return Role(value.lower() or Role.USER).value
    except ValueError:
        raise Rejected(f"{value[:40]!r} is no role.") from None


def _active(value: str) -> bool:
    word = value.lower()
    if word not in TRUE | FALSE:
        raise Rejected(f"is_active is {value[:40]!r}, neither true nor false.")
    return word in TRUE


def _hash(value: str) -> str | None:
    if value and not is_known_hash(value):
        raise Rejected("The password hash has a form that cannot be checked.")
    return value or None


def _instant(values: Mapping[str, str], column: str, now: datetime) -> datetime | None:
    value = values.get(column, "")
    if not value:
        return None
    try:
        instant = datetime.fromisoformat(value)
        utc = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Rejected(f"{column} is {value[:40]!r}, no ISO 8601 date.") from None
    if utc > now:
        raise Rejected(f"{column} is {value[:40]!r}, which is in the future.")
    return utc
