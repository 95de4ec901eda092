import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_service.model.errors import WeakPassword
from user_service.model.password_policy import PasswordPolicy, normalised

PRODUCTION = PasswordPolicy(8, refuses_common=True)
DEMO = PasswordPolicy(6, refuses_common=False)
EMAIL = "anna.smith@meadow.example"


def is_refused(password: str, policy: PasswordPolicy = PRODUCTION, email: str = EMAIL) -> bool:
    try:
        policy.check(password, email)
    except WeakPassword as error:
        return "password" in error.fields
    return False


@pytest.mark.parametrize("password", ["", "Xk9#mQ2", "ÄÖÜßéè7"])
def test_a_short_password_is_refused_whatever_is_in_it(password: str) -> None:
    assert is_refused(password)


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "PassWord",
        "Password1!",
        "P@ssw0rd",
        "p4ssw0rd123",
        "12345678",
        "19901231",
        "31.12.1999",
        "11111111",
        "abababab",
        "abcabcabcab",
        "qwertyuiop",
        "poiuytrewq",
        "1qaz2wsx",
        "Summer2024!",
        "iloveyou2",
        "!!sunshine!!",
        "qwerty123",
        "trustno1",
    ],
)
def test_what_is_tried_first_is_refused(password: str) -> None:
    assert is_refused(password)


@pytest.mark.parametrize(
    "password", ["anna.smith", "ANNA.SMITH2030", "meadow meadows", "x-anna.smith-x", "smith@meadow.ex", EMAIL]
)
def test_what_is_like_the_address_is_refused(password: str) -> None:
    assert is_refused(password)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse",
        "tr0ub4dor&3x",
        "Xk9#mQ2vLp",
        "grüne Wiese im Mai",
        "пароль на века",
        "パスワードではない",
        "3.1415926535897",
        "mother-of-pearl lamp",
        "🐎🔋📎✅🌊🎈🎻🧶🪵",
        "           x  yz",
    ],
)
def test_length_is_enough_whichever_kinds_of_characters_there_are(password: str) -> None:
    assert not is_refused(password)


def test_a_short_name_is_in_too_many_good_passwords_to_count() -> None:
    assert not is_refused("an annual report", email="ann@x.example")


def test_the_demo_takes_what_the_walk_throughs_print() -> None:
    assert not is_refused("pass123", DEMO)
    assert is_refused("admin", DEMO)


@given(st.text(min_size=1, max_size=1000))
def test_no_password_upsets_the_check(password: str) -> None:
    assert is_refused(password) in {True, False}


def test_the_same_characters_are_the_same_password_however_a_keyboard_writes_them() -> None:
    assert normalised("cafe\u0301") == normalised("caf\u00e9")
