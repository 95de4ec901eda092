from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from user_service.model.email import EMAIL_LIMIT
from user_service.model.import_row import Layout, Rejected, user_row
from user_service.model.user import NAME_LIMIT, Role, Status

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
EMAIL = "anna@example.com"


def row(**values: str) -> dict[str, Any]:
    return user_row({"email": EMAIL} | values, NOW)


def reason(**values: str) -> str:
    with pytest.raises(Rejected) as rejected:
        row(**values)
    return str(rejected.value)


def test_an_address_alone_makes_a_user() -> None:
    user = row()

    assert (user["email"], user["name"], user["role"], user["status"]) == (EMAIL, "", Role.USER, Status.ACTIVE)
    assert (user["registered_at"], user["last_activity_at"], user["last_login_at"]) == (NOW, NOW, None)
    assert (user["password_hash"], user["deactivated_at"]) == (None, None)


def test_every_column_is_taken_over() -> None:
    user = row(
        name="Anna",
        role="Manager",
        created_at="2029-01-01T10:00:00Z",
        last_login_at="2029-06-01T10:00:00+02:00",
        is_active="no",
        password_hash="pbkdf2_sha256$1000$salt$digest",
    )

    assert (user["name"], user["role"], user["status"]) == ("Anna", Role.MANAGER, Status.DEACTIVATED)
    assert user["registered_at"] == datetime(2029, 1, 1, 10, tzinfo=UTC)
    assert user["last_login_at"] == datetime(2029, 6, 1, 8, tzinfo=UTC)
    assert user["deactivated_at"] == NOW
    assert user["password_hash"] == "pbkdf2_sha256$1000$salt$digest"


@pytest.mark.parametrize(
    ("created_at", "last_login_at", "last_activity_at"),
    [
        ("2029-01-01", "2029-06-01", datetime(2029, 6, 1, tzinfo=UTC)),
        ("2029-06-01", "2029-01-01", datetime(2029, 6, 1, tzinfo=UTC)),
        ("2029-01-01", "", datetime(2029, 1, 1, tzinfo=UTC)),
        ("", "", NOW),
    ],
)
def test_the_latest_known_date_counts_as_activity(
    created_at: str, last_login_at: str, last_activity_at: datetime
) -> None:
    assert row(created_at=created_at, last_login_at=last_login_at)["last_activity_at"] == last_activity_at


@pytest.mark.parametrize("text", ["2029-06-01T10:00:00", "2029-06-01 10:00", "20290601T1000"])
def test_a_date_without_a_zone_is_utc(text: str) -> None:
    assert row(created_at=text)["registered_at"] == datetime(2029, 6, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("column", ["created_at", "last_login_at"])
@pytest.mark.parametrize("text", ["yesterday", "2029-13-01", "01.06.2029", "1717236000", "0001-01-01T00:00+10:00"])
def test_what_is_no_date_is_rejected_with_its_column(column: str, text: str) -> None:
    assert reason(**{column: text}) == f"{column} is {text!r}, no ISO 8601 date."


@pytest.mark.parametrize("column", ["created_at", "last_login_at"])
def test_a_date_in_the_future_is_rejected(column: str) -> None:
    text = (NOW + timedelta(seconds=1)).isoformat()

    assert reason(**{column: text}) == f"{column} is {text!r}, which is in the future."


def test_a_date_is_judged_by_the_instant_it_means() -> None:
    at_noon_in_utc = NOW.astimezone(timezone(timedelta(hours=10)))

    assert row(created_at=at_noon_in_utc.isoformat())["registered_at"] == NOW


@pytest.mark.parametrize("word", ["true", "TRUE", "t", "1", "yes", "y", ""])
def test_many_words_mean_active(word: str) -> None:
    assert row(is_active=word)["status"] == Status.ACTIVE


@pytest.mark.parametrize("word", ["false", "False", "f", "0", "no", "n"])
def test_many_words_mean_not_active(word: str) -> None:
    assert row(is_active=word)["status"] == Status.DEACTIVATED


def test_any_other_word_is_rejected() -> None:
    assert reason(is_active="maybe") == "is_active is 'maybe', neither true nor false."


def test_a_row_without_an_address_is_rejected() -> None:
    assert reason(email="") == "It has no e-mail address."


@pytest.mark.parametrize("email", ["anna", "anna@", f"{'a' * EMAIL_LIMIT}@example.com"])
def test_a_row_whose_address_is_none_is_rejected(email: str) -> None:
    assert reason(email=email) == f"{email[:80]!r} is no e-mail address."


def test_an_unknown_role_is_rejected() -> None:
    assert reason(role="owner") == "'owner' is no role."


def test_a_name_with_control_characters_is_rejected() -> None:
    assert reason(name="An\x1bna") == "The name holds control characters."


def test_a_name_too_long_is_rejected() -> None:
    assert row(name="x" * NAME_LIMIT)["name"] == "x" * NAME_LIMIT
    assert reason(name="x" * (NAME_LIMIT + 1)) == f"The name is longer than {NAME_LIMIT} characters."


@pytest.mark.parametrize("stored", ["plain text", "md5$salt$digest", "sha1$salt$digest"])
def test_a_password_hash_that_cannot_be_checked_is_rejected(stored: str) -> None:
    assert reason(password_hash=stored) == "The password hash has a form that cannot be checked."


def test_columns_stand_in_any_order_and_others_are_passed_over() -> None:
    layout = Layout.of([" Role ", "shoe_size", "EMAIL"])

    assert layout.values(["admin", "42", f" {EMAIL} "]) == {"role": "admin", "email": EMAIL}


def test_a_file_without_addresses_is_of_no_use() -> None:
    with pytest.raises(Rejected, match="The file has no column email"):
        Layout.of(["name", "role"])


@pytest.mark.parametrize("row", [[EMAIL], [EMAIL, "Anna", "user"], [""]])
def test_a_row_of_another_width_than_the_header_is_rejected(row: list[str]) -> None:
    with pytest.raises(Rejected, match=rf"It has {len(row)} columns, the header 2\."):
        Layout.of(["email", "name"]).values(row)


@pytest.mark.parametrize("column", ["email", "name", "shoe_size"])
@pytest.mark.parametrize(
    ("value", "because"), [("caf\udce9", "It is not valid UTF-8."), ("an\x00na", "It holds a NUL character.")]
)
def test_what_no_database_can_hold_is_rejected_wherever_it_stands(column: str, value: str, because: str) -> None:
    names = ["email", "name", "shoe_size"]
    values = {"email": EMAIL, "name": "Anna", "shoe_size": "42"} | {column: value}

    with pytest.raises(Rejected) as rejected:
        Layout.of(names).values([values[name] for name in names])

    assert str(rejected.value) == because
